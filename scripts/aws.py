"""The AWS account that a command works on: the embedded one, or the caller's own."""

import json
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import boto3
import psutil
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    ProfileNotFound,
    SSOTokenLoadError,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)
from botocore.exceptions import (
    ConnectionError as BotoConnectionError,
)

from scripts import paths
from scripts.console import CommandError
from scripts.environments import Environment, process_environment
from scripts.local_aws import control

LOCAL_AWS_DIR = paths.BUILD / "local_aws"

_SIGN_IN = (
    "Sign in first, for example with `aws sso login` and AWS_PROFILE, or export AWS_ACCESS_KEY_ID and "
    "AWS_SECRET_ACCESS_KEY."
)
_making_a_client = threading.Lock()
_kept: dict[tuple[str, str], Any] | None = None


_EXPIRED = ("ExpiredToken", "ExpiredTokenException", "RequestExpired")
# Signatures are good for five minutes.
_TIMED = ("RequestTimeTooSkewed", "RequestInTheFuture")
_TIME = re.compile(r"Signature (expired|not yet current)")
_REFUSED = ("InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "AuthFailure")


class AccountError(CommandError):
    """There is no way to the account; `code` tells the kinds apart."""

    def __init__(self, code: str, message: str, next_step: str) -> None:
        super().__init__(message, next_step)
        self.code = code


def use(environment: Environment) -> None:
    """Points this process, and every Terraform that it starts, at the environment's AWS."""
    running = control.status(LOCAL_AWS_DIR) if environment.embedded else None
    if environment.embedded and running is None:
        raise AccountError(
            "embedded-aws-not-running",
            f"environment {environment.name!r} lives in the embedded AWS, which is not running.",
            "Start it with `make up`.",
        )
    settings = process_environment(environment, control.client_environment(running, region=environment.region))
    os.environ.clear()
    os.environ.update(settings)
    # boto3's clients must talk to the environment's region whatever the profile says.
    os.environ["AWS_REGION"] = os.environ["AWS_DEFAULT_REGION"] = environment.region


def start_embedded() -> control.Running:
    """The embedded AWS, started unless it runs."""
    try:
        return control.start(LOCAL_AWS_DIR)
    except control.LocalAwsError as error:
        raise CommandError(error.message, error.next_step) from error


def stop_embedded() -> bool:
    """False when it did not run."""
    return control.stop(LOCAL_AWS_DIR)


def embedded_ended(environment: Environment) -> Callable[[], str]:
    """For Terraform: asks whether the embedded AWS that the environment lives in has died meanwhile."""
    running = control.status(LOCAL_AWS_DIR) if environment.embedded else None
    if running is None:
        return lambda: ""
    process = psutil.Process(running.pid)

    def ended() -> str:
        try:
            lives = process.is_running() and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            lives = False
        return (
            ""
            if lives
            else f"the embedded AWS ended while Terraform worked on it; see {running.log_file}, then `make up`."
        )

    return ended


def client(service: str, **settings: Any) -> Any:
    """A boto3 client that answers or fails soon: what an operator's command waits for, not a batch job."""
    # boto3's session may not be used by two threads at once; its clients may.
    with _making_a_client:
        if _kept is None:
            return _new_client(service, **settings)
        key = (service, repr(settings))
        if key not in _kept:
            _kept[key] = _new_client(service, **settings)
        return _kept[key]


@contextmanager
def kept_clients() -> Iterator[None]:
    """Within, each client is made once (that takes longer than a call); for many calls to one account and caller."""
    global _kept  # clients are asked for in many places
    before, _kept = _kept, {}
    try:
        yield
    finally:
        _kept = before


def _new_client(service: str, **settings: Any) -> Any:
    usual: dict[str, Any] = {
        "connect_timeout": 5,
        "read_timeout": 60,
        "retries": {"mode": "standard", "max_attempts": 4},
    }
    client = boto3.client(service, config=Config(**usual | settings))
    if service == "dynamodb":
        client.meta.events.register("before-parse.dynamodb", _cut_off_is_a_timeout)
        client.meta.events.register("after-call.dynamodb", _cut_off_is_an_error)
    return client


def _cut_off_is_a_timeout(response_dict: dict[str, Any], **_: Any) -> None:
    """Makes botocore try again: to it an answer without a body is an empty one, and one that is no JSON an end."""
    if response_dict["status_code"] == HTTPStatus.OK:
        try:
            json.loads(response_dict["body"])
        except ValueError:
            response_dict |= {"status_code": HTTPStatus.REQUEST_TIMEOUT, "body": b'{"__type": "RequestTimeout"}'}


def _cut_off_is_an_error(http_response: Any, parsed: Mapping[str, Any], **_: Any) -> None:
    if http_response.status_code == HTTPStatus.OK and "Error" in parsed:
        raise ConnectionClosedError(endpoint_url=http_response.url)


def account_id(environment: Environment) -> str:
    """The account behind the credentials. Raises AccountError when there are none, or when it is the wrong one."""
    return require_account(environment, caller(environment))


def require_account(environment: Environment, identity: Mapping[str, Any]) -> str:
    """The account of what `caller` answered. Raises AccountError when it is not the environment's."""
    account = str(identity["Account"])
    if environment.account_id and account != environment.account_id:
        raise AccountError(
            "wrong-account",
            f"these credentials belong to account {account}, but environment {environment.name!r} is in "
            f"{environment.account_id}.",
            "Sign in to that account; nothing was touched.",
        )
    return account


def caller(environment: Environment) -> dict[str, Any]:
    """AWS's answer to who this is: `Account`, `Arn`, and `ResponseMetadata`. Raises AccountError."""
    try:
        answer: dict[str, Any] = client("sts").get_caller_identity()
    except (NoCredentialsError, TokenRetrievalError) as error:
        raise AccountError(
            "no-credentials", f"no AWS credentials for environment {environment.name!r}.", _SIGN_IN
        ) from error
    except ProfileNotFound as error:
        raise AccountError(
            "profile-missing", f"{error}.", "Name a profile of your AWS configuration, or unset it."
        ) from error
    except (BotoConnectionError, HTTPClientError) as error:
        raise AccountError(
            "aws-unreachable", f"AWS can't be reached: {error}", "Check the network, the region and AWS_ENDPOINT_URL."
        ) from error
    except ClientError as error:
        code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
        if code in _EXPIRED:
            raise AccountError("credentials-expired", "the AWS credentials have expired.", _SIGN_IN) from error
        if code in _TIMED or _TIME.search(message):
            raise AccountError(
                "clock-skew", f"AWS refuses this machine's clock: {message}", "Set the clock, by NTP."
            ) from error
        if code in _REFUSED:
            raise AccountError("credentials-refused", f"AWS refused the credentials ({code}).", _SIGN_IN) from error
        raise AccountError("credentials-refused", f"AWS refused to tell who you are: {error}", _SIGN_IN) from error
    except (SSOTokenLoadError, UnauthorizedSSOTokenError) as error:
        raise AccountError("credentials-expired", f"the sign-in has expired: {error}", _SIGN_IN) from error
    except (BotoCoreError, NoRegionError) as error:
        raise AccountError("no-credentials", f"no usable AWS credentials: {error}.", _SIGN_IN) from error
    return answer
