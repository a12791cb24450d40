"""The owner of the service that kept profiles in JSON files switches over, with plain HTTP and a stock AWS client."""

import json
import uuid
from typing import Any
from urllib.parse import quote

import pytest
import urllib3

from tests.end_to_end.checkout import Checkout

PROFILES, CONVERSATIONS = "agent-profiles", "agent-conversations"


class Service:
    """The owner's profiles carry a mark of this run in job, city and id: others use the stack, too."""

    def __init__(self, stack: Checkout) -> None:
        self.stack = stack
        self.mark = uuid.uuid4().hex[:10]
        job, city = f"Klempner {self.mark}", f"Köln-{self.mark}"
        # as the files of json_storage/ hold them
        self.files: list[dict[str, Any]] = [
            {
                "id": f"{self.mark}-rohrfrei",
                "name": "Rohrfrei",
                "address": "Domkloster 4\n50667 Köln",
                "job": job,
                "averagePrice": 249.99,
                "tags": ["Notdienst", "Heizung"],
                "location": [city, "Germany"],
                "description": "Rohre und Heizungen",
                "timestamp": "2025-03-01T10:00:00",
                "ratings": {"stars": 4.75, "count": 12},
            },
            {"id": f"{self.mark}-günstig", "name": "Günstig & Gut", "job": f" {job.upper()} ", "averagePrice": 80,
             "location": f"{city.lower()}, Germany", "tags": ["notdienst"]},
            {"id": f"{self.mark}-elsewhere", "name": "Elsewhere", "job": job, "location": ["Paris"],
             "tags": ["notdienst"]},
            {"id": f"{self.mark}-baker", "name": "Baker", "job": "Baker", "location": [city], "averagePrice": 3},
            {"id": f"{self.mark}-#1", "name": "Nothing known", "job": "", "location": []},
        ]  # fmt: skip
        self.wanted = {"job": job.lower(), "location": city, "tags": ["NOTDIENST"], "maxPrice": 249.99}

    def retrieve(self, profile_id: str) -> tuple[int, dict[str, str], Any]:
        return self.stack.call("GET", f"/retrieve/{quote(profile_id)}")

    def match(self, **wanted: Any) -> Any:
        status, _, body = self.stack.call("POST", "/match", wanted)
        assert status == 200, body
        return body

    def say(self, message: str, sender: str) -> Any:
        status, _, body = self.stack.call(
            "POST",
            "/conversation",
            {
                "conversation_id": f"{self.mark}-c",
                "agent_id": self.files[0]["id"],
                "message": message,
                "sender": sender,
            },
        )
        assert status == 201, body
        return body

    def messages(self, path: str) -> list[str]:
        found: list[str] = []
        token = ""
        while True:
            status, _, body = self.stack.call("GET", f"{path}{'&' if '?' in path else '?'}limit=2{token}")
            assert status == 200, body
            found += [message["message"] for message in body["messages"]]
            if "next_token" not in body:
                return found
            token = f"&next_token={body['next_token']}"


@pytest.fixture(scope="module")
def service(running_stack: Checkout) -> Service:
    """All files are stored, and a conversation has begun."""
    service = Service(running_stack)
    for profile in service.files:
        status, _, body = running_stack.call("POST", "/store", profile)
        assert status == 201, body
    for number in range(5):
        service.say(f"message {number}", "client" if number % 2 else "agent")
    return service


def test_each_profile_comes_back_as_the_file_had_it(service: Service) -> None:
    for profile in service.files:
        status, headers, body = service.retrieve(profile["id"])
        assert (status, headers["etag"]) == (200, '"1"')
        assert {name: body[name] for name in profile} == profile
    address = f"http://127.0.0.1:{service.stack.api_port}/retrieve/{service.mark}-rohrfrei"
    assert b'"averagePrice":249.99,' in urllib3.request("GET", address).data, "as it was written, not as a float has it"


def test_the_list_holds_every_profile_once(service: Service) -> None:
    found: list[str] = []
    token = ""
    while True:
        status, _, body = service.stack.call("GET", f"/list?limit=2{token}")
        assert status == 200
        found += [profile["id"] for profile in body["profiles"]]
        if "next_token" not in body:
            break
        token = f"&next_token={body['next_token']}"
    assert len(found) == len(set(found))
    assert {profile["id"] for profile in service.files} <= set(found)


def test_matches_are_ranked_and_say_why(service: Service) -> None:
    answer = service.match(**service.wanted)
    assert [(one["profile"]["name"], one["score"]) for one in answer["matches"]] == [
        ("Günstig & Gut", 100), ("Rohrfrei", 100), ("Elsewhere", 55), ("Baker", 45)
    ]  # fmt: skip
    assert (answer["maximumScore"], answer["truncated"]) == (100, False)
    reasons = {reason["criterion"]: reason for reason in answer["matches"][1]["reasons"]}
    assert reasons["job"]["found"] == f"Klempner {service.mark}"
    assert reasons["tags"]["found"] == ["Notdienst"]
    assert reasons["maxPrice"]["detail"] == "the price 249.99 is at most 249.99"
    cheaper = service.match(**service.wanted | {"maxPrice": 249.98})
    assert "Rohrfrei" not in [one["profile"]["name"] for one in cheaper["matches"]]
    for wrong in ({}, {"job": ""}, {"maxPrice": "10"}, {"salary": 5}):
        assert service.stack.call("POST", "/match", wrong)[0] == 400


def test_the_conversation_is_in_order_and_the_agent_s_newest_comes_first(service: Service) -> None:
    said = [f"message {number}" for number in range(5)]
    assert service.messages(f"/conversation/{service.mark}-c") == said
    assert service.messages(f"/conversation/{service.mark}-c?order=newest") == said[::-1]
    assert service.messages(f"/agent/{quote(service.files[0]['id'])}/conversations") == said[::-1]
    assert service.stack.call("GET", f"/conversation/{service.mark}")[0] == 404


def test_the_tables_hold_what_was_agreed(service: Service) -> None:
    dynamodb = service.stack.client("dynamodb")
    item = dynamodb.get_item(TableName=PROFILES, Key={"id": {"S": service.files[0]["id"]}})["Item"]
    kinds = {name: next(iter(value)) for name, value in item.items()}
    assert {
        "id": "S", "name": "S", "address": "S", "job": "S", "averagePrice": "N", "tags": "L", "location": "L",
        "location_city": "S", "description": "S", "timestamp": "S", "profile_data": "M",
    }.items() <= kinds.items()  # fmt: skip
    assert item["averagePrice"] == {"N": "249.99"}
    assert item["location_city"] == {"S": f"köln-{service.mark}"}
    assert item["profile_data"]["M"]["job"] == {"S": f"Klempner {service.mark}"}
    assert item["profile_data"]["M"]["ratings"] == {"M": {"stars": {"N": "4.75"}, "count": {"N": "12"}}}
    found = dynamodb.query(
        TableName=PROFILES,
        IndexName="job-index",
        KeyConditionExpression="job = :job",
        ExpressionAttributeValues={":job": {"S": f"klempner {service.mark}"}},
    )["Items"]
    assert len(found) == 3
    found = dynamodb.query(
        TableName=PROFILES,
        IndexName="location-index",
        KeyConditionExpression="location_city = :city",
        ExpressionAttributeValues={":city": {"S": f"köln-{service.mark}"}},
    )["Items"]
    assert len(found) == 3
    messages = dynamodb.query(
        TableName=CONVERSATIONS,
        IndexName="agent-conversations-index",
        KeyConditionExpression="agent_id = :agent",
        ExpressionAttributeValues={":agent": {"S": service.files[0]["id"]}},
        ScanIndexForward=False,
    )["Items"]
    assert [message["message"]["S"] for message in messages] == [f"message {number}" for number in range(4, -1, -1)]
    assert {name for message in messages for name in message} == {
        "conversation_id", "timestamp", "agent_id", "message", "sender"
    }  # fmt: skip


def test_the_tables_have_keys_indexes_and_capacity_as_agreed(service: Service) -> None:
    dynamodb = service.stack.client("dynamodb")
    tables = {name: dynamodb.describe_table(TableName=name)["Table"] for name in (PROFILES, CONVERSATIONS)}
    keys = {
        index["IndexName"]: [key["AttributeName"] for key in index["KeySchema"]]
        for table in tables.values()
        for index in table["GlobalSecondaryIndexes"]
    }
    assert keys == {
        "job-index": ["job"],
        "location-index": ["location_city"],
        "agent-conversations-index": ["agent_id", "timestamp"],
    }
    for table in tables.values():
        capacity = table["ProvisionedThroughput"]
        assert (capacity["ReadCapacityUnits"], capacity["WriteCapacityUnits"]) == (10, 10)
        for index in table["GlobalSecondaryIndexes"]:
            capacity = index["ProvisionedThroughput"]
            assert (capacity["ReadCapacityUnits"], capacity["WriteCapacityUnits"]) == (5, 5)


def test_the_function_has_the_environment_names_that_clients_use(service: Service) -> None:
    configuration = service.stack.client("lambda").get_function_configuration(
        FunctionName=service.stack.function_name("agent_profiles")
    )
    variables = configuration["Environment"]["Variables"]
    assert (variables["PROFILE_TABLE_NAME"], variables["CONVERSATION_TABLE_NAME"]) == (PROFILES, CONVERSATIONS)


def test_everything_is_still_there_after_a_cold_start(service: Service) -> None:
    _, before, profile = service.retrieve(service.files[0]["id"])
    ranked = service.match(**service.wanted)
    service.stack.replace_environments("agent_profiles")
    status, after, body = service.retrieve(service.files[0]["id"])
    assert (status, body) == (200, profile)
    assert after["x-execution-environment"] != before["x-execution-environment"]
    assert service.match(**service.wanted) == ranked
    assert service.messages(f"/conversation/{service.mark}-c") == [f"message {number}" for number in range(5)]


def test_a_profile_that_an_older_client_wrote_is_found_and_taken_over(service: Service) -> None:
    """As the owner's own boto3 code wrote it before."""
    profile_id, job = f"{service.mark}-older", f"Gardener {service.mark}"
    item = {
        "id": {"S": profile_id}, "name": {"S": "Older"}, "job": {"S": job}, "averagePrice": {"N": "55.5"},
        "tags": {"L": [{"S": "trees"}]}, "location": {"L": [{"S": "Rome"}]}, "location_city": {"S": "Rome"},
    }  # fmt: skip
    service.stack.client("dynamodb").put_item(TableName=PROFILES, Item=item)
    status, headers, body = service.retrieve(profile_id)
    assert (status, headers["etag"], body["averagePrice"], body["version"]) == (200, '"0"', 55.5, 0)
    answer = service.match(job=job, location="rome", maxPrice=60)
    assert [(one["profile"]["id"], one["score"]) for one in answer["matches"]] == [(profile_id, 85)]
    status, _, body = service.stack.call("POST", "/store", body | {"name": "Taken over"}, if_match='"0"')
    assert (status, body["version"]) == (200, 1)
    answer = service.match(tags=["Trees"], job=job.upper())
    assert [one["profile"]["name"] for one in answer["matches"]] == ["Taken over"]


def test_the_service_went_through_all_of_this_without_an_error(service: Service) -> None:
    messages = service.stack.log_messages("agent_profiles")
    assert messages
    assert not [message for message in messages if '"ERROR"' in message or "errorType" in message]
    routes = {json.loads(line)["route"] for line in messages if line.startswith("{") and '"route"' in line}
    assert "/match" in routes
