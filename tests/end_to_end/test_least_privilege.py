"""The functions' roles are held against what the embedded AWS has decided: nothing denied, nothing granted for nothing.

Every route is called, and the paths that do other things to the tables than the usual one.
"""

import json
import time
import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from tests import privileges
from tests.contract.application import template_of
from tests.contract.systems import SYSTEMS
from tests.end_to_end.checkout import Checkout
from tests.privileges import Decision, Policies, Statement
from tests.recording_guarantees import Guarantee

AGENTS, PETS, CHATS = "AgentRegistry", "PetStore", "chat_sessions"
PROFILES, SESSIONS, MESSAGES = "agent-profiles", "ai-agent-sessions", "ai-agent-messages"
PAST = str(int(time.time()) - 3600)


class Caller:
    """Calls routes, and remembers which. `mark` tells what this run stores from what others do."""

    def __init__(self, stack: Checkout) -> None:
        self.stack = stack
        self.called: set[str] = set()
        self.mark = uuid.uuid4().hex[:12]
        self.dynamodb = stack.client("dynamodb")

    def __call__(self, expected: int, method: str, path: str, body: Any = None, **headers: str) -> Any:
        status, _, answer = self.stack.call(method, path, body, **headers)
        assert status == expected, f"{method} {path}: {status} {answer}"
        for system in SYSTEMS.values():
            if template := template_of(path.partition("?")[0], list(system.contract.templates)):
                self.called.add(f"{method} {template}")
        return answer

    def once(self, expected: int, path: str, body: Any, changed: Any, **headers: str) -> Any:
        """A create with a key, its repeat, and the key with another request."""
        key = uuid.uuid4().hex
        first = self(expected, "POST", path, body, idempotency_key=key, **headers)
        assert self(expected, "POST", path, body, idempotency_key=key, **headers) == first
        self(409, "POST", path, changed, idempotency_key=key, **headers)
        return first

    def write(self, table: str, *items: dict[str, Any]) -> None:
        """As an older application wrote them, or other hands."""
        for start in range(0, len(items), 25):
            puts = [{"PutRequest": {"Item": item}} for item in items[start : start + 25]]
            self.dynamodb.batch_write_item(RequestItems={table: puts})

    def invoke(self, system: str, event: Any) -> Any:
        answer = self.stack.client("lambda").invoke(
            FunctionName=self.stack.function_name(system), Payload=json.dumps(event)
        )
        assert "FunctionError" not in answer
        return json.load(answer["Payload"])


def use_agent_registry(call: Caller) -> None:
    def profile(agent: str, *capabilities: str) -> dict[str, Any]:
        return {"id": agent, "name": "A", "endpoint": "https://a.example.com", "capabilities": list(capabilities)}

    agent, older, expired = (f"{kind}-{call.mark}" for kind in ("agent", "older", "expired"))
    capability = f"cap-{call.mark}"
    one = {"profile": profile(agent, capability, "other")}
    call.once(201, "/agents/register", one, {"profile": profile(agent, "changed")})
    call(200, "POST", "/agents/register", {"profile": profile(agent, capability)})  # one capability goes
    call(412, "POST", "/agents/register", one, if_match='"77"')
    for stored, more in ((older, {}), (expired, {"ttl": {"N": PAST}})):
        known = {"agentId": {"S": stored}, "name": {"S": "B"}, "capabilities": {"L": [{"S": capability}]}}
        call.write(AGENTS, known | more)
    call(404, "GET", f"/agents/{expired}")
    call(201, "POST", "/agents/register", {"profile": profile(expired, capability), "leaseSeconds": 60})
    call(200, "POST", "/agents/register", {"profile": profile(older, capability)})
    assert len(call(200, "GET", f"/agents?capability={capability}&limit=2")["agents"]) == 2
    for each in (agent, older, expired):
        call(200, "GET", f"/agents/{each}")
        call(204, "DELETE", f"/agents/{each}")
        call(404, "DELETE", f"/agents/{each}")


def use_agent_profiles(call: Caller) -> None:
    job, city = f"job {call.mark}", f"city {call.mark}"
    profile = {"id": f"p-{call.mark}", "name": "P", "job": job, "location": [city], "tags": [call.mark]}
    call.once(201, "/store", profile, profile | {"name": "Q"})
    call(200, "POST", "/store", profile | {"job": "another", "tags": []})  # entries to be matched by go
    call(412, "POST", "/store", profile, if_match='"77"')
    call.write(PROFILES, {"id": {"S": f"older-{call.mark}"}, "job": {"S": job}, "location_city": {"S": city}})
    for wanted in ({"job": job}, {"location": city}):
        found = call(200, "POST", "/match", wanted)["matches"]
        assert f"older-{call.mark}" in [match["profile"]["id"] for match in found]
    call(200, "POST", "/match", {"maxPrice": 5, "tags": [call.mark]})
    call(200, "GET", f"/retrieve/{profile['id']}")
    call(200, "GET", "/list?limit=1")
    said = {"conversation_id": f"c-{call.mark}", "agent_id": profile["id"], "message": "hello", "sender": "me"}
    call.once(201, "/conversation", said, said | {"message": "other"})
    call(200, "GET", f"/conversation/c-{call.mark}?order=newest")
    call(200, "GET", f"/agent/{profile['id']}/conversations")


def use_agent_sessions(call: Caller) -> None:
    tenant = f"tenant-{call.mark}"
    who = {"x_tenant_id": tenant, "x_user_id": "user"}
    conversations = f"/agent/conversations/{tenant}/users/user"
    # sessions of an older application are taken over, once with a message, once by the list
    for user in ("user", "lister"):
        older = {"id": {"S": f"older-{user}-{call.mark}"}, "tenantId": {"S": tenant}, "userId": {"S": user}}
        call.write(SESSIONS, older | {"isActive": {"BOOL": False}, "updatedAt": {"S": "2024-01-01T00:00:00.000000Z"}})
    call.once(200, "/agent/process", {"message": "hello"}, {"message": "other"}, **who)
    assert len(call(200, "GET", conversations.replace("users/user", "users/lister"))["sessions"]) == 1
    opened = call(200, "POST", "/agent/process", {"message": "more"}, **who)["sessionId"]
    call(200, "POST", "/agent/process", {"message": "still more", "sessionId": opened}, **who)
    call(404, "POST", f"/agent/sessions/{opened}/close", x_tenant_id="another")
    written = {"tenantId": {"S": tenant}, "sessionId": {"S": opened}, "userId": {"S": "user"}, "role": {"S": "user"}}
    call.write(
        MESSAGES,
        *(
            written
            | {"id": {"S": f"{opened}-{n}"}, "content": {"S": "x"}, "timestamp": {"S": f"2024-01-01T00:00:00.{n:06}Z"}}
            for n in range(30)
        ),
    )
    for order in ("oldest", "newest"):
        call(200, "GET", f"/agent/sessions/{opened}/messages?order={order}&limit=5", **who)
    call(200, "POST", f"/agent/sessions/{opened}/close", **who)
    call(409, "POST", "/agent/process", {"message": "closed", "sessionId": opened}, **who)
    assert len(call(200, "GET", conversations)["sessions"]) == 2
    # more than one batch each
    assert call(200, "DELETE", conversations)["messages"] > 30
    assert call(200, "DELETE", conversations.replace("users/user", "users/lister"))["sessions"] == 1


def use_chat_sessions(call: Caller) -> None:
    user = f"user-{call.mark}"
    chosen, older, expired, left = (f"{kind}-{call.mark}" for kind in ("chosen", "older", "expired", "left"))
    session = {"id": chosen, "user_id": user, "pedagogy_mode": "socratic"}
    call.once(201, "/sessions", session, session | {"pedagogy_mode": "direct"})
    call(409, "POST", "/sessions", session)
    said = {"role": "user", "content": "hello", "tokens": 1, "context_ids": []}
    call.once(201, f"/sessions/{chosen}/messages", said, said | {"content": "other"})
    call(412, "POST", f"/sessions/{chosen}/messages", said, if_match='"77"')
    # as a function that was killed while it deleted leaves it
    deleting = {"deleted_at": "2024", "GSI1PK": "DELETING", "GSI1SK": "2024"}
    for stored, more in ((older, {"user_id": user}), (expired, {"user_id": user}), (left, deleting)):
        key = {"PK": {"S": f"SESSION#{stored}"}}
        head = key | {"SK": {"S": "METADATA"}} | {name: {"S": value} for name, value in more.items()}
        call.write(
            CHATS,
            head | {"version": {"N": "1"}} | ({"ttl": {"N": PAST}} if stored == expired else {}),
            *(key | {"SK": {"S": f"MESSAGE#2024-01-01T00:00:00.{n:06}Z"}} for n in range(30)),
        )
    call(201, "POST", f"/sessions/{older}/messages", said)
    call(404, "GET", f"/sessions/{expired}")
    call(201, "POST", "/sessions", session | {"id": expired})  # after what is left of the earlier one is gone
    assert call.invoke("chat_sessions", {"action": "finish-deletions"})["finished"] >= 1
    assert call(200, "GET", f"/users/{user}/sessions")["sessions"]
    for each in (chosen, older, expired):
        call(200, "GET", f"/sessions/{each}?messages=1")
        call(200, "GET", f"/sessions/{each}/messages?order=oldest")
        call(204, "DELETE", f"/sessions/{each}")
        call(404, "GET", f"/sessions/{each}/messages?order=newest")


def use_pet_store(call: Caller) -> None:
    pet = {"name": "Sweety", "type": f"frog {call.mark}", "price": 20}
    last = call.once(201, "/pets", pet, pet | {"price": 21})["id"]
    call(200, "GET", "/pets?limit=100")
    call(200, "GET", f"/pets?type={pet['type'].replace(' ', '%20')}&minPrice=1")
    call(200, "GET", f"/pets/{last}")
    call(404, "GET", f"/pets/{last + 100}")
    # somebody else added a pet past the counter, and then lost the counter
    foreign = {"id": {"N": str(last + 1)}, "name": {"S": "Foreign"}, "type": {"S": "newt"}, "price": {"N": "1"}}
    call.write(PETS, foreign)
    assert call(201, "POST", "/pets", pet)["id"] == last + 2
    call.dynamodb.delete_item(TableName=PETS, Key={"id": {"N": "0"}})
    call.stack.replace_environments("pet_store")
    assert call(201, "POST", "/pets", pet)["id"] == last + 3
    assert call.invoke("pet_store", {"action": "seed"})["added"] == 0


USES = (use_agent_profiles, use_agent_registry, use_agent_sessions, use_chat_sessions, use_pet_store)


class Run(NamedTuple):
    called: set[str]
    policies: Policies
    record: list[Decision]


@pytest.fixture(scope="module")
def run(running_stack: Checkout) -> Run:
    call = Caller(running_stack)
    for use in USES:
        use(call)
    policies = planned(running_stack)
    record = [
        Decision(row["role"], row["action"], row["resource"], row["allowed"])
        for row in running_stack.decisions()
        if row["role"] in policies
    ]
    return Run(call.called, policies, record)


def planned(stack: Checkout) -> dict[str, list[Statement]]:
    """The policies of the stack's roles, as Terraform planned and applied them."""
    bucket = next(one["Name"] for one in stack.client("s3").list_buckets()["Buckets"] if "tfstate" in one["Name"])
    key = next(
        one["Key"]
        for one in stack.client("s3").list_objects_v2(Bucket=bucket)["Contents"]
        if one["Key"].endswith("local/terraform.tfstate")
    )
    state = json.load(stack.client("s3").get_object(Bucket=bucket, Key=key)["Body"])
    made: dict[str, list[dict[str, Any]]] = {}
    for resource in state["resources"]:
        made.setdefault(resource["type"], []).extend(one["attributes"] for one in resource["instances"])
    assert not made.keys() & {"aws_iam_role_policy_attachment", "aws_iam_policy", "aws_iam_role_policies_exclusive"}
    arns = {role["name"]: role["arn"] for role in made["aws_iam_role"]}
    policies: dict[str, list[Statement]] = {arn: [] for arn in arns.values()}
    for policy in made["aws_iam_role_policy"]:
        policies[arns[policy["role"]]] += json.loads(policy["policy"])["Statement"]
    return policies


def test_every_route_was_called(run: Run) -> None:
    assert run.called == {route for system in SYSTEMS.values() for route in system.contract.routes}


def test_nothing_is_denied_and_nothing_granted_for_nothing(run: Run, guarantee: Guarantee) -> None:
    assert len(run.policies) == len(SYSTEMS)
    assert {decision.role for decision in run.record} == run.policies.keys()
    found = privileges.findings(run.policies, run.record)
    guarantee(
        "least-privilege",
        decisions=len(run.record),
        denied=sum(not decision.allowed for decision in run.record),
        statements=sum(map(len, run.policies.values())),
        grants=privileges.count_grants(run.policies),
        granted_and_unused=len(privileges.unused(run.policies, run.record)),
    )
    assert found == []


def test_only_the_list_of_profiles_scans(run: Run) -> None:
    scans = {(row.role.rsplit("/", 1)[-1], row.resource) for row in run.record if row.action == privileges.SCAN}
    assert {(role.removeprefix("agent-state-local-"), arn.rsplit(":", 1)[-1]) for role, arn in scans} == {
        ("agent-profiles", "table/agent-profiles")
    }


def test_the_roles_have_what_was_planned_and_lambda_alone_gets_them(running_stack: Checkout, run: Run) -> None:
    iam = running_stack.client("iam")
    for arn, statements in run.policies.items():
        name = arn.rsplit("/", 1)[-1]
        assert iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"] == []
        (inline,) = iam.list_role_policies(RoleName=name)["PolicyNames"]
        document = iam.get_role_policy(RoleName=name, PolicyName=inline)["PolicyDocument"]
        assert document["Statement"] == statements
        trust = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]["Statement"]
        assert [(one["Action"], one["Principal"]) for one in trust] == [
            ("sts:AssumeRole", {"Service": "lambda.amazonaws.com"})
        ]


# -- one action or resource too many, or too few, is found ---------------------------------------------------

MORE_ACTIONS = (
    "dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", "dynamodb:ConditionCheckItem", "dynamodb:DeleteItem",
    "dynamodb:DeleteTable", "dynamodb:DescribeTable", "dynamodb:GetItem", "dynamodb:PartiQLSelect", "dynamodb:PutItem",
    "dynamodb:Query", "dynamodb:Scan", "dynamodb:UpdateItem", "dynamodb:UpdateTable", "kms:Decrypt",
    "logs:CreateLogGroup", "logs:GetLogEvents", "secretsmanager:GetSecretValue", "ssm:GetParameter",
)  # fmt: skip
NEVER = {"StringEquals": {"aws:PrincipalTag/team": "nobody"}}
Statements = list[Statement]


def wider(statements: Statements, everywhere: list[str]) -> Iterator[tuple[str, Statements]]:
    """Each way to grant one thing more."""
    for action, resource in (("s3:GetObject", "arn:aws:s3:::states/*"), ("sts:AssumeRole", "arn:aws:iam::1:role/a")):
        more_of_it = {"Sid": "More", "Effect": "Allow", "Action": [action], "Resource": [resource]}
        yield f"one more statement, {action}", [*statements, more_of_it]
    granted = {(action, resource) for one in statements for action in one["Action"] for resource in one["Resource"]}
    for place, one in enumerate(statements):
        actions, resources = one["Action"], one["Resource"]
        more: list[tuple[str, Statement]] = [
            *(
                (f"also {action}", {**one, "Action": [*actions, action]})
                for action in MORE_ACTIONS
                if any((action, resource) not in granted for resource in resources)
            ),
            *(
                (f"also on {resource}", {**one, "Resource": [*resources, resource]})
                for resource in everywhere
                if any((action, resource) not in granted for action in actions)
            ),
            ("all but its actions", {name: one[name] for name in one.keys() - {"Action"}} | {"NotAction": actions}),
            (
                "all but its places",
                {name: one[name] for name in one.keys() - {"Resource"}} | {"NotResource": resources},
            ),
        ]
        for name, values in (("Action", actions), ("Resource", resources)):
            for n, value in enumerate(values):
                patterns = {"*", f"{value}*", f"{value[:-1]}?", f"{value.rpartition('/')[0]}/*", f"{value[:14]}*"}
                more += [
                    (f"{pattern} for {value}", {**one, name: [*values[:n], pattern, *values[n + 1 :]]})
                    for pattern in patterns - {value}
                ]
        for what, changed in more:
            yield f"{one['Sid']}: {what}", [*statements[:place], changed, *statements[place + 1 :]]


def narrower(statements: Statements) -> Iterator[tuple[str, Statements]]:
    """Each way to grant one thing less."""
    for place, one in enumerate(statements):
        less: list[tuple[str, Statements]] = [
            ("is missing", []),
            ("has a condition that no call meets", [{**one, "Condition": NEVER}]),
        ]
        for name in ("Action", "Resource"):
            for value in one[name]:
                less.append((f"without {value}", [{**one, name: [each for each in one[name] if each != value]}]))
                less.append((f"{value} denied", [one, {**one, "Effect": "Deny", name: [value]}]))
        for what, changed in less:
            yield f"{one['Sid']}: {what}", [*statements[:place], *changed, *statements[place + 1 :]]
    yield "nothing at all", []


def test_one_thing_more_or_less_is_found(run: Run, guarantee: Guarantee) -> None:
    everywhere = sorted({resource for role in run.policies.values() for one in role for resource in one["Resource"]})
    mutations = [
        (f"{role.rsplit('/', 1)[-1]}: {what}", role, changed)
        for role, statements in run.policies.items()
        for what, changed in (*wider(list(statements), everywhere), *narrower(list(statements)))
    ]
    missed = [what for what, role, changed in mutations if not privileges.findings({role: changed}, run.record)]
    guarantee("least-privilege", mutations_caught=len(mutations) - len(missed), mutations_missed=len(missed))
    assert missed == []
    assert len(mutations) > 500


def test_a_call_that_was_denied_is_found_whatever_is_granted_now(run: Run) -> None:
    for decision in run.record:
        assert privileges.findings(run.policies, [*run.record, decision._replace(allowed=False)])
