"""The owner's story of the pet store, with plain HTTP and a stock AWS client only."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import urllib3

from tests.end_to_end.checkout import Checkout, wait_for

TABLE = "PetStore"
# As the specification has them: name, type, price
FIRST_PETS = {
    1: ("Buddy", "dog", "249.99"),
    2: ("Whiskers", "cat", "124.99"),
    3: ("Nemo", "fish", "0.99"),
    4: ("Tweety", "bird", "49.99"),
    5: ("Fluffy", "hamster", "29.99"),
    6: ("Thumper", "rabbit", "89.99"),
    7: ("Max", "dog", "299.99"),
    8: ("Luna", "cat", "149.99"),
    9: ("Goldie", "fish", "1.99"),
    10: ("Polly", "bird", "79.99"),
    11: ("Shelly", "turtle", "39.99"),
    12: ("Squeaky", "guinea pig", "34.99"),
    13: ("Charlie", "dog", "279.99"),
    14: ("Mittens", "cat", "134.99"),
    15: ("Spike", "lizard", "59.99"),
}
SWEETY = {"id": 16, "name": "Sweety", "type": "frog", "price": 20, "version": 1}


class ToolCall:
    """What an AgentCore Gateway gets from the alias of the function when it calls a tool of its target `pets`."""

    def __init__(self, stack: Checkout, tool: str, arguments: dict[str, Any]) -> None:
        functions, name = stack.client("lambda"), stack.function_name("pet_store")
        (alias,) = functions.list_aliases(FunctionName=name)["Aliases"]
        context = {"custom": {"bedrockAgentCoreToolName": f"pets___{tool}"}}
        answer = functions.invoke(
            FunctionName=alias["AliasArn"],
            ClientContext=base64.b64encode(json.dumps(context).encode()).decode(),
            Payload=json.dumps(arguments),
            LogType="Tail",
        )
        assert "FunctionError" not in answer
        self.text = answer["Payload"].read().decode()
        self.answer = json.loads(self.text)
        self.was_cold = b"Init Duration" in base64.b64decode(answer["LogResult"])

    @property
    def data(self) -> Any:
        assert self.answer["ok"] is True, self.answer
        return self.answer["data"]


def stored(stack: Checkout, pet_id: int) -> dict[str, Any] | None:
    found: dict[str, Any] = stack.client("dynamodb").get_item(TableName=TABLE, Key={"id": {"N": str(pet_id)}})
    return found.get("Item")


def add(stack: Checkout, name: str, **headers: str) -> tuple[int, dict[str, str], Any]:
    return stack.call("POST", "/pets", {"name": name, "type": "newt", "price": 4.05}, **headers)


def listed(stack: Checkout, query: str = "") -> list[int]:
    status, _, body = stack.call("GET", f"/pets?{query}")
    assert status == 200, body
    return [pet["id"] for pet in body["pets"]]


@pytest.fixture
def seeded_pets(running_stack: Checkout) -> list[dict[str, Any]]:
    keys = [{"id": {"N": str(pet_id)}} for pet_id in FIRST_PETS]
    found = running_stack.client("dynamodb").batch_get_item(RequestItems={TABLE: {"Keys": keys}})
    return sorted(found["Responses"][TABLE], key=lambda item: int(item["id"]["N"]))


def test_a_frog_that_a_chatbot_adds_is_there_after_a_cold_start(running_stack: Checkout) -> None:
    """ "Add a frog named Sweety for $20", a cold start, "what pets do we have?" """
    before = ToolCall(running_stack, "list_pets", {})
    assert [pet["id"] for pet in before.data["pets"]] == list(range(1, 16))

    assert ToolCall(running_stack, "add_pet", {"name": "Sweety", "type": "frog", "price": 20.0}).data == SWEETY
    running_stack.replace_environments("pet_store")

    after = ToolCall(running_stack, "list_pets", {})
    assert after.was_cold
    assert after.data == {"pets": [*before.data["pets"], SWEETY]}
    assert [(pet["name"], pet["type"], str(pet["price"])) for pet in after.data["pets"][:15]] == [*FIRST_PETS.values()]

    running_stack.replace_environments("pet_store")
    _, _, body = running_stack.call("GET", "/pets")
    assert body == after.data
    assert stored(running_stack, 16) == {
        "id": {"N": "16"},
        "name": {"S": "Sweety"},
        "type": {"S": "frog"},
        "price": {"N": "20"},
        "version": {"N": "1"},
        "idRange": {"N": "0"},
    }


def test_the_table_is_as_its_users_know_it(running_stack: Checkout) -> None:
    table = running_stack.client("dynamodb").describe_table(TableName=TABLE)["Table"]
    assert table["KeySchema"] == [{"AttributeName": "id", "KeyType": "HASH"}]
    assert {"AttributeName": "id", "AttributeType": "N"} in table["AttributeDefinitions"]
    indexes = {index["IndexName"]: index["KeySchema"] for index in table["GlobalSecondaryIndexes"]}
    assert [key["AttributeName"] for key in indexes["type-price-index"]] == ["type", "price"]
    assert indexes.keys() == {"type-price-index", "id-range-index"}


def test_a_stock_client_reads_exact_prices(running_stack: Checkout, seeded_pets: list[dict[str, Any]]) -> None:
    found = {int(pet["id"]["N"]): (pet["name"]["S"], pet["type"]["S"], pet["price"]["N"]) for pet in seeded_pets}
    assert found == FIRST_PETS
    raw = urllib3.request("GET", f"http://127.0.0.1:{running_stack.api_port}/pets/1")
    assert b'"price":249.99,' in raw.data
    assert '"price":0.99,' in "".join(ToolCall(running_stack, "get_pet", {"id": 3}).text.split())


def test_pets_of_a_type_come_by_price(running_stack: Checkout) -> None:
    assert listed(running_stack, "type=dog") == [1, 13, 7]
    assert listed(running_stack, "type=dog&minPrice=250&maxPrice=299.99") == [13, 7]
    assert listed(running_stack, "type=dog&maxPrice=249.98") == []
    assert listed(running_stack, "type=guinea%20pig") == [12]
    cats = ToolCall(running_stack, "list_pets", {"type": "cat", "maxPrice": 134.99})
    assert [pet["id"] for pet in cats.data["pets"]] == [2, 14]


def test_pages_by_id_leave_nothing_out(running_stack: Checkout) -> None:
    found: list[int] = []
    token = ""
    while token or not found:
        _, _, page = running_stack.call("GET", f"/pets?limit=4{token and '&next_token='}{token}")
        assert 0 < len(page["pets"]) <= 4
        found += [pet["id"] for pet in page["pets"]]
        token = page.get("next_token", "")
    assert found == listed(running_stack, "limit=100")
    assert found[:16] == list(range(1, 17))


def test_writers_at_once_get_consecutive_ids(running_stack: Checkout) -> None:
    last = listed(running_stack, "limit=100")[-1]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda number: add(running_stack, f"Newt {number}"), range(18)))
    assert sorted(body["id"] for _, _, body in answers) == list(range(last + 1, last + 19))
    for status, headers, body in answers:
        assert (status, headers["location"]) == (201, f"/pets/{body['id']}")
        item = stored(running_stack, body["id"])
        assert item is not None
        assert (item["name"], item["price"]) == ({"S": body["name"]}, {"N": "4.05"})
    wait_for(lambda: len(listed(running_stack, "type=newt&limit=100")) >= 18, "the index following the table")


def test_a_pet_that_is_sent_again_is_one(running_stack: Checkout) -> None:
    first = add(running_stack, "Once", idempotency_key="the same pet")
    running_stack.replace_environments("pet_store")
    again = add(running_stack, "Once", idempotency_key="the same pet")
    assert (again[0], again[2]) == (201, first[2])
    assert again[1]["idempotency-replayed"] == "true"
    assert listed(running_stack, "limit=100")[-1] == first[2]["id"]


def test_the_first_pets_are_added_once_and_later_edits_stay(running_stack: Checkout) -> None:
    before = listed(running_stack, "limit=100")
    running_stack.client("dynamodb").update_item(
        TableName=TABLE,
        Key={"id": {"N": "15"}},
        UpdateExpression="SET note = :note",
        ExpressionAttributeValues={":note": {"S": "likes warm stones"}},
    )
    edited = stored(running_stack, 15)
    answer = running_stack.client("lambda").invoke(
        FunctionName=running_stack.function_name("pet_store"), Payload=b'{"action": "seed"}'
    )
    assert json.load(answer["Payload"]) == {"last": before[-1], "added": 0}
    assert listed(running_stack, "limit=100") == before
    assert edited == stored(running_stack, 15)
    assert edited is not None
    assert edited["note"] == {"S": "likes warm stones"}


def test_what_goes_wrong_is_said_to_the_chatbot(running_stack: Checkout) -> None:
    before = listed(running_stack, "limit=100")
    for tool, arguments, code in (
        ("get_pet", {"id": 4711}, "not_found"),
        ("get_pet", {"id": 0}, "not_found"),
        ("add_pet", {"name": "Sweety", "type": "frog"}, "invalid_argument"),
        ("add_pet", {"name": "Sweety", "type": "frog", "price": "twenty"}, "invalid_argument"),
        ("drop_pets", {}, "unknown_tool"),
    ):
        answer = ToolCall(running_stack, tool, arguments).answer
        assert answer["ok"] is False
        assert (answer["error"]["code"], answer["error"]["retryable"]) == (code, False)
        assert answer["error"]["message"]
    assert listed(running_stack, "limit=100") == before


def test_no_http_request_begins_a_store_or_calls_a_tool(running_stack: Checkout) -> None:
    for body in ({"action": "seed"}, {"bedrockAgentCoreToolName": "list_pets"}):
        status, _, answer = running_stack.call("POST", "/pets", body)
        assert (status, answer["status"]) == (400, 400)
