"""What DynamoDB's errors mean: to be tried again, and how, or not."""

from __future__ import annotations

import time

from common.errors import Refused, Throttled, Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from common.errors import TableError

_THROTTLED = {
    "ProvisionedThroughputExceeded",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingError",
    "ThrottlingException",
}
_PASSING = {
    "InternalServerError",
    "ServiceUnavailable",
    "TransactionConflict",
    "TransactionConflictException",
    "TransactionInProgressException",
}
_FINAL_REASONS = {"ConditionalCheckFailed", "ItemCollectionSizeLimitExceeded", "ValidationError"}
CLOCK = {"InvalidSignatureException", "RequestExpired", "RequestTimeTooSkewed", "SignatureDoesNotMatch"}
CREDENTIALS = {"ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException"}


class ServiceError(Refused):
    """DynamoDB's own error. `unsure`: an earlier attempt may have been carried out although its answer was lost."""

    def __init__(self, code: str, message: str, answer: Mapping[str, Any], unsure: bool) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.answer = answer
        self.unsure = unsure


def service_error(status: int, answer: Mapping[str, Any], unsure: bool) -> ServiceError:
    code = str(answer.get("__type", status)).rpartition("#")[2]
    return ServiceError(code, str(answer.get("message") or answer.get("Message") or ""), answer, unsure)


def passing(error: ServiceError, status: int) -> TableError | None:
    """What the error is called if it outlasts every retry; None if there is no point in one."""
    reasons = {str(reason.get("Code")) for reason in error.answer.get("CancellationReasons") or ()}
    if reasons & _FINAL_REASONS:
        return None
    if error.code in _THROTTLED or reasons & _THROTTLED:
        return Throttled(str(error))
    if error.code in _PASSING or reasons & _PASSING or status >= 500:
        return Unavailable(str(error))
    return None


def clock_skew(date: str) -> float:
    """Seconds by which the service's clock, as its Date header tells it, is ahead of ours; 0 without the header."""
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(date).timestamp() - time.time()
    except ValueError:
        return 0.0
