"""Calls that go wrong: what is tried again, for how long, and that nothing is done twice or reported wrongly."""

import time
from collections.abc import Iterator
from decimal import Decimal
from email.utils import formatdate
from typing import Any
from zlib import crc32

import botocore.session
import pytest

from common.dynamodb import DynamoDB
from common.dynamodb_client import MAXIMUM_ATTEMPTS, DynamoDBClient, endpoint
from common.dynamodb_failures import ServiceError
from common.errors import ConditionFailed, ItemTooLarge, Refused, Throttled, Unavailable
from tests.unit.fake_service import (
    CUT,
    HALF,
    LOSE,
    SILENT,
    TIME_FOR_FOUR_SECONDS,
    FakeService,
    cancelled,
    fails,
    served,
    time_passes_in_pauses_only,
)
from tests.unit.test_http_connection import RawServer

THROTTLED = fails("ProvisionedThroughputExceededException")
PASSING = [
    THROTTLED,
    fails("ThrottlingException"),
    fails("RequestLimitExceeded"),
    fails("InternalServerError", 500),
    fails("ServiceUnavailable", 503),
    (502, {}),
    fails("TransactionInProgressException"),
    fails("TransactionConflictException"),
    cancelled("None", "TransactionConflict"),
    cancelled("ThrottlingError", "None"),
    cancelled("ProvisionedThroughputExceeded"),
    CUT,
    LOSE,
    HALF,
]


@pytest.fixture
def service() -> Iterator[FakeService]:
    with served(FakeService()) as service:
        yield service


def client(service: FakeService | RawServer, **environment: str) -> DynamoDBClient:
    given = {
        "AWS_REGION": "eu-north-1",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_ENDPOINT_URL": service.url,
        **environment,
    }
    made = DynamoDBClient(given, sleep=lambda seconds: pauses.append(seconds))
    pauses.clear()
    return made


pauses: list[float] = []


def test_one_connection_serves_many_calls(service: FakeService) -> None:
    one = client(service)
    one.warm()
    for _ in range(3):
        assert one.call("GetItem", {"Key": {}}) == {}
    assert service.connections == 1
    assert service.operations == ["GetItem"] * 3


@pytest.mark.parametrize("trouble", PASSING, ids=str)
def test_what_passes_is_tried_again(service: FakeService, trouble: Any) -> None:
    service.plan = [trouble, trouble]
    one = client(service)
    assert one.call("Query", {}) == {}
    assert len(service.requests) == 3
    assert (one.usage.calls, one.usage.retries) == (3, 2)
    bodies = [payload for _, payload, _ in service.requests]
    assert bodies[0] == bodies[1] == bodies[2]


@pytest.mark.parametrize(
    "code",
    ["ValidationException", "ResourceNotFoundException", "AccessDeniedException", "ConditionalCheckFailedException"],
)
def test_what_does_not_pass_is_not(service: FakeService, code: str) -> None:
    service.plan = [fails(code, message="why")]
    with pytest.raises(ServiceError) as error:
        client(service).call("Query", {})
    assert (error.value.code, error.value.message, error.value.unsure) == (code, "why", False)
    assert len(service.requests) == 1


@pytest.mark.parametrize(
    ("trouble", "error"),
    [(THROTTLED, Throttled), (CUT, Unavailable), (fails("InternalServerError", 500), Unavailable)],
)
def test_attempts_end(service: FakeService, trouble: Any, error: type[Exception]) -> None:
    service.plan = [trouble] * 50
    with pytest.raises(error):
        client(service).call("Query", {})
    assert len(service.requests) == MAXIMUM_ATTEMPTS
    assert len(pauses) == MAXIMUM_ATTEMPTS - 1


def test_pauses_grow_to_a_cap_and_vary(service: FakeService) -> None:
    service.plan = [THROTTLED] * 50
    with pytest.raises(Throttled):
        client(service).call("Query", {})
    assert all(0 <= pause <= min(1.0, 0.025 * 2**i) for i, pause in enumerate(pauses))
    assert len(set(pauses)) == len(pauses)


def test_nothing_is_tried_past_the_time_that_is_left(service: FakeService, monkeypatch: pytest.MonkeyPatch) -> None:
    service.plan = [THROTTLED] * 50
    one = client(service)
    time_passes_in_pauses_only(one, monkeypatch)
    one.begin(time.monotonic() + TIME_FOR_FOUR_SECONDS)
    with pytest.raises(Throttled):
        one.call("Query", {})
    assert len(service.requests) == 4
    one.begin(time.monotonic() - 1)
    with pytest.raises(Unavailable, match="no time left"):
        one.call("Query", {})


def test_an_answer_that_does_not_come_is_not_waited_for_past_the_time_that_is_left(service: FakeService) -> None:
    service.plan = [SILENT] * 50
    one = client(service)
    began = time.monotonic()
    one.begin(began + 0.2)
    with pytest.raises(Unavailable):
        one.call("Query", {})
    assert time.monotonic() - began < 60, "it would never come"


def test_a_service_that_is_not_there(service: FakeService) -> None:
    service.server.server_close()
    one = client(service)
    one.warm()
    with pytest.raises(Unavailable):
        one.call("Query", {})


def test_a_damaged_answer_is_asked_for_again(service: FakeService) -> None:
    service.headers = {"x-amz-crc32": "1"}
    service.plan = [(200, {"damaged": True})]
    service.serve = lambda *_: (service.headers.update({"x-amz-crc32": str(crc32(b"{}"))}), (200, {}))[1]
    assert client(service).call("Query", {}) == {}
    assert len(service.requests) == 2


@pytest.mark.parametrize("answer", [b"{} {}", b"{}x", b"[]", b" ", b'{"Item"', b"\xff"])
def test_what_is_no_json_object_is_asked_for_again(answer: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n"
    with RawServer([head % len(one) + one for one in (answer, b' {"Count": 1}\r\n')]).running() as server:
        one = client(server)
        assert one.call("Query", {}) == {"Count": 1}
    assert one.usage.calls == 2


def test_a_wrong_clock_is_set_by_the_service_s(service: FakeService) -> None:
    one = client(service)
    service.headers = {"date": formatdate(time.time() + 3600, usegmt=True)}
    service.plan = [fails("InvalidSignatureException", message="Signature expired")]
    one.call("Query", {})
    one.call("Query", {})
    stamps = [headers["x-amz-date"] for _, _, headers in service.requests]
    assert stamps[0] < stamps[1]
    assert len(stamps) == 3
    assert pauses == []


def test_a_wrong_signature_at_the_right_time_is_an_error(service: FakeService) -> None:
    service.headers = {"date": formatdate(usegmt=True)}
    service.plan = [fails("InvalidSignatureException")] * 3
    with pytest.raises(ServiceError):
        client(service).call("Query", {})
    assert len(service.requests) == 1


def test_consumed_units_are_summed(service: FakeService) -> None:
    one = client(service)
    service.plan = [
        (200, {"ConsumedCapacity": {"CapacityUnits": 1.5}}),
        (200, {"ConsumedCapacity": [{"CapacityUnits": 1}, {"CapacityUnits": 0.5}]}),
        (200, {"ConsumedCapacity": [{"CapacityUnits": 6}, {"CapacityUnits": 2}]}),
    ]
    one.call("Query", {})
    one.call("BatchGetItem", {})
    one.call("TransactWriteItems", {})
    assert (one.usage.read_units, one.usage.write_units) == (3.0, 8.0)


@pytest.mark.parametrize("partition", botocore.session.get_session().get_available_partitions())
@pytest.mark.parametrize("service", ["dynamodb", "secretsmanager", "ssm"])
def test_services_are_where_botocore_finds_them_in_every_region(partition: str, service: str) -> None:
    session = botocore.session.get_session()
    regions = session.get_available_regions(service, partition)
    assert regions
    for region in regions:
        expected = session.create_client(service, region).meta.endpoint_url
        assert endpoint({"AWS_REGION": region}, service) == (region, expected)


def test_the_service_is_that_of_the_region() -> None:
    made = DynamoDBClient({"AWS_REGION": "cn-north-1"})
    assert made._connection.host == "dynamodb.cn-north-1.amazonaws.com.cn"
    assert (made._connection.port, made._connection.secure) == (443, True)


def test_the_service_s_own_endpoint_goes_before_the_general_one() -> None:
    made = DynamoDBClient(
        {"AWS_REGION": "x", "AWS_ENDPOINT_URL": "http://a:1", "AWS_ENDPOINT_URL_DYNAMODB": "http://b:2/path"}
    )
    assert (made._connection.host, made._connection.path) == ("b", "/")


def test_a_missing_region_says_so() -> None:
    with pytest.raises(RuntimeError, match="AWS_REGION"):
        DynamoDBClient({})


# --- writes whose answer is lost


class OneItem:
    """Just enough of DynamoDB to keep one item under a condition, with tokens for transactions."""

    def __init__(self) -> None:
        self.item: dict[str, Any] | None = None
        self.tokens: set[str] = set()
        self.writes = 0

    def __call__(self, operation: str, request: Any) -> tuple[int, Any]:
        if operation == "TransactWriteItems":
            if request["ClientRequestToken"] in self.tokens:
                return 200, {}
            self.tokens.add(request["ClientRequestToken"])
            if self.item is not None:
                return cancelled("ConditionalCheckFailed", "None")
            request = request["TransactItems"][0]["Put"]
        elif operation == "DeleteItem":
            if self.item is None:
                return fails("ConditionalCheckFailedException")
            self.item = None
            self.writes += 1
            return 200, {}
        if self.item is not None:
            return fails("ConditionalCheckFailedException", Item=self.item)
        self.item = request["Item"]
        self.writes += 1
        return 200, {}


@pytest.mark.parametrize("trouble", [LOSE, HALF])
@pytest.mark.parametrize("others", [0, 1])
def test_a_put_whose_answer_was_lost_is_no_conflict(service: FakeService, trouble: str, others: int) -> None:
    stored = OneItem()
    service.serve, service.plan = stored, [trouble, THROTTLED]
    table = DynamoDB(client(service)).table("t", {"id": "S"})
    changes = [table.put({"id": "a", "n": 1}, expect={"id": None})]
    changes += [table.put({"id": f"other {i}"}) for i in range(others)]
    DynamoDB(client(service)).write(changes)
    assert stored.writes == 1
    assert len(service.requests) == 3


def test_an_item_is_known_again_in_whatever_form_sets_and_numbers_come_back(service: FakeService) -> None:
    found = {"id": {"S": "a"}, "words": {"SS": ["b", "a"]}, "sizes": {"NS": ["2.5", "10", "9"]}, "price": {"N": "20.0"}}
    service.serve = lambda *_: fails("ConditionalCheckFailedException", Item=found)
    service.plan = [LOSE]
    database = DynamoDB(client(service))
    item = {"id": "a", "words": {"a", "b"}, "sizes": {9, 10, Decimal("2.5")}, "price": 20}
    database.write([database.table("t", {"id": "S"}).put(item, expect={"id": None})])


def test_a_delete_whose_answer_was_lost_is_no_conflict(service: FakeService) -> None:
    stored = OneItem()
    stored.item = {"id": {"S": "a"}, "version": {"N": "1"}}
    service.serve, service.plan = stored, [LOSE]
    database = DynamoDB(client(service))
    database.write([database.table("t", {"id": "S"}).delete({"id": "a"}, expect={"version": 1})])
    assert stored.writes == 1


@pytest.mark.parametrize("trouble", [[], [THROTTLED], [CUT], [LOSE]])
def test_a_put_over_somebody_else_s_item_is_a_conflict(service: FakeService, trouble: list[Any]) -> None:
    stored = OneItem()
    stored.item = {"id": {"S": "a"}, "n": {"N": "2"}}
    service.serve, service.plan = stored, trouble
    database = DynamoDB(client(service))
    with pytest.raises(ConditionFailed):
        database.write([database.table("t", {"id": "S"}).put({"id": "a", "n": 1}, expect={"id": None})])
    assert stored.writes == 0


def test_an_equal_item_is_a_conflict_if_no_answer_was_lost(service: FakeService) -> None:
    stored = OneItem()
    stored.item = {"id": {"S": "a"}}
    service.serve, service.plan = stored, [THROTTLED]
    database = DynamoDB(client(service))
    with pytest.raises(ConditionFailed):
        database.write([database.table("t", {"id": "S"}).put({"id": "a"}, expect={"id": None})])


def test_every_attempt_of_a_transaction_has_one_token_and_each_transaction_its_own(service: FakeService) -> None:
    service.plan = [LOSE, fails("TransactionInProgressException"), cancelled("TransactionConflict")]
    database = DynamoDB(client(service))
    table = database.table("t", {"id": "S"})
    for _ in range(2):
        database.write([table.put({"id": "a"}), table.put({"id": "b"})])
    tokens = [request["ClientRequestToken"] for _, request, _ in service.requests]
    assert tokens[0] == tokens[1] == tokens[2] == tokens[3] != tokens[4]
    assert 1 <= len(tokens[0]) <= 36


def test_a_failed_condition_goes_before_a_conflict(service: FakeService) -> None:
    service.plan = [cancelled("TransactionConflict", "None", "ConditionalCheckFailed")]
    database = DynamoDB(client(service))
    table = database.table("t", {"id": "S"})
    with pytest.raises(ConditionFailed) as failure:
        database.write([table.put({"id": one}) for one in "abc"])
    assert failure.value.positions == (2,)


@pytest.mark.parametrize(
    "answer",
    [
        fails("ValidationException", message="Item size has exceeded the maximum allowed size"),
        fails(
            "TransactionCanceledException",
            CancellationReasons=[
                {"Code": "None"},
                {"Code": "ValidationError", "Message": "Item size has exceeded the maximum allowed size"},
            ],
        ),
    ],
)
def test_too_large_an_item_has_its_own_error(service: FakeService, answer: Any) -> None:
    service.plan = [answer]
    database = DynamoDB(client(service))
    table = database.table("t", {"id": "S"})
    with pytest.raises(ItemTooLarge):
        database.write([table.put({"id": "a"}), table.put({"id": "b"})])


def test_what_dynamodb_refuses_is_a_defect(service: FakeService) -> None:
    service.plan = [fails("ValidationException", message="no")]
    database = DynamoDB(client(service))
    with pytest.raises(Refused, match="no"):
        database.write([database.table("t", {"id": "S"}).put({"id": "a"})])


# --- batches


def test_unprocessed_keys_are_asked_for_until_none_is_left(service: FakeService) -> None:
    def serve(_: str, request: Any) -> tuple[int, Any]:
        keys = request["RequestItems"]["t"]["Keys"]
        left = {"t": {"Keys": keys[2:], "ConsistentRead": True}} if keys[2:] else {}
        return 200, {"Responses": {"t": keys[:2]}, "UnprocessedKeys": left}

    service.serve = serve
    found = DynamoDB(client(service)).table("t", {"id": "S"}).get_many([{"id": str(i)} for i in range(5)])
    assert [item["id"] for item in found] == ["0", "1", "2", "3", "4"]
    assert len(pauses) == 2


def test_keys_that_stay_unprocessed_are_throttling_when_the_time_is_up(
    service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.serve = lambda _, request: (200, {"Responses": {}, "UnprocessedKeys": request["RequestItems"]})
    one = client(service)
    time_passes_in_pauses_only(one, monkeypatch)
    one.begin(time.monotonic() + TIME_FOR_FOUR_SECONDS)
    with pytest.raises(Throttled):
        DynamoDB(one).table("t", {"id": "S"}).get_many([{"id": "a"}])
