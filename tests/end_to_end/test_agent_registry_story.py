"""The seven criteria of the agent registry's owner, with plain HTTP and a stock AWS client."""

import re

from tests.end_to_end.checkout import Checkout

AGENT = {
    "id": "translator-7",
    "name": "Translator",
    "endpoint": "https://translator.example.com/agent",
    "capabilities": ["Translate", "summarise"],
}


def test_the_owners_seven_criteria(running_stack: Checkout) -> None:
    dynamodb = running_stack.client("dynamodb")
    # 1. the table is ACTIVE
    table = dynamodb.describe_table(TableName="AgentRegistry")["Table"]
    assert table["TableStatus"] == "ACTIVE"
    assert table["KeySchema"] == [{"AttributeName": "agentId", "KeyType": "HASH"}]
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    # 2. an agent registers
    status, headers, _ = running_stack.call("POST", "/agents/register", {"profile": AGENT})
    assert status == 201
    # 3. it is in DynamoDB, read directly
    item = dynamodb.get_item(TableName="AgentRegistry", Key={"agentId": {"S": AGENT["id"]}})["Item"]
    assert item["name"] == {"S": AGENT["name"]}
    assert item["endpoint"] == {"S": AGENT["endpoint"]}
    # 4. a cold start is forced
    running_stack.replace_environments("agent_registry")
    # 5. the agent is still discoverable, whatever the capability's case
    status, cold_headers, answer = running_stack.call("GET", "/agents?capability=TRANSLATE")
    assert status == 200
    assert [agent["id"] for agent in answer["agents"]] == [AGENT["id"]]
    assert cold_headers["x-execution-environment"] != headers["x-execution-environment"]
    # 6. no DynamoDB errors in the function's logs; 7. queries answer in under 50 ms
    messages = running_stack.log_messages("agent_registry")
    assert not [message for message in messages if '"ERROR"' in message or "errorType" in message]
    durations = [float(found[1]) for m in messages if (found := re.search(r"\tDuration: ([\d.]+) ms", m))]
    assert sorted(durations)[len(durations) // 2] < 50
