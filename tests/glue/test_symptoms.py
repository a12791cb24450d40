"""Raw symptoms, as programs and people put them, and what is behind them."""

import io
import json
from pathlib import Path

import pytest

from scripts import doctor, paths
from scripts.console import CommandError
from scripts.diagnosis import symptoms
from scripts.diagnosis.findings import CODES, SEVERITIES
from scripts.environments import Environment

DEV = Environment("dev", paths.ENVIRONMENTS / "dev.toml", "us-east-1", "", "", False, "", "key", {})
APPLY = "make apply ENV=dev"
EDIT = '"${EDITOR:-vi}" terraform/environments/dev.toml && make apply ENV=dev'
ROLE = "arn:aws:sts::123456789012:assumed-role/agent-state-dev-agent-registry/f"
TABLE = "arn:aws:dynamodb:us-east-1:123456789012:table/AgentRegistry"

NOT_FOUND = (
    "botocore.errorfactory.ResourceNotFoundException: An error occurred (ResourceNotFoundException) when calling the "
    "GetItem operation: Requested resource not found: Table: AgentRegistry not found"
)
DENIED = (
    "An error occurred (AccessDeniedException) when calling the Query operation: "
    f"User: {ROLE} is not authorized to perform: dynamodb:Query on resource: {TABLE}/index/CapabilityIndex because no "
    "identity-based policy allows the dynamodb:Query action"
)
SIGN_IN = "aws sso login"

# The four failures of the specification, and what else people meet on the way.
KNOWN = [
    (NOT_FOUND, "table-not-found", "no table AgentRegistry", APPLY),
    ("ServiceError: ResourceNotFoundException: Requested resource not found", "table-not-found", "", APPLY),
    ("Cannot do operations on a non-existent table", "table-not-found", "", APPLY),
    ("the table agent-profiles does not exist", "table-not-found", "", APPLY),
    (DENIED, "not-authorised", f"{ROLE} may not dynamodb:Query on {TABLE}/index/CapabilityIndex", APPLY),
    ("AccessDenied", "not-authorised", "", APPLY),
    ("403 Forbidden: you are not authorised", "not-authorised", "", APPLY),
    ("agents that registered have vanished after a cold start", "not-persisting", "", APPLY),
    ("After each restart the registry is empty", "not-persisting", "", APPLY),
    ("Data is not persisted", "not-persisting", "", APPLY),
    ("profiles are lost ten minutes later", "not-persisting", "", APPLY),
    ("queries are slow", "slow-queries", "", EDIT),
    ("GET /agents takes too long", "slow-queries", "", EDIT),
    ("p95 latency 480 ms", "slow-queries", "", EDIT),
    ("cold starts are slow", "slow-cold-starts", "", EDIT),
    ("Task timed out after 3.00 seconds", "timeout", "after 3.00 s", EDIT),
    ("ProvisionedThroughputExceededException: The level of configured…", "table-throttled", "", EDIT),
    ('{"message": "Too Many Requests"}', "api-throttled", "", EDIT),
    ("TooManyRequestsException: Rate Exceeded.", "function-throttled", "", EDIT),
    (
        'www-authenticate: Bearer scope="" error="invalid_token" error_description="the token has expired"',
        "token-refused",
        "the token has expired",
        "make verify ENV=dev",
    ),
    ("the token says nothing of the tenant", "token-refused", "", "make verify ENV=dev"),
    ('{"message":"Forbidden"}', "caller-not-authorised", "", 'curl --aws-sigv4 "aws:amz:'),
    ("Missing Authentication Token", "caller-not-authorised", "", "curl --aws-sigv4"),
    ("Table already exists: Orders", "table-exists", "Orders", "make adopt ENV=dev TABLE=Orders"),
    (
        "ExpiredTokenException: The security token included in the request is expired",
        "credentials-expired",
        "",
        SIGN_IN,
    ),
    ("Unable to locate credentials", "no-credentials", "", SIGN_IN),
    ("UnrecognizedClientException: The security token is invalid", "credentials-refused", "", SIGN_IN),
    ("Signature expired: 20261128T100000Z is now earlier than 20261128T101000Z", "clock-skew", "", "sudo timedatectl"),
    ("Error acquiring the state lock", "state-lock-left", "", "make doctor ENV=dev"),
    ("NoSuchBucket: The specified bucket does not exist", "state-bucket-missing", "", "make bootstrap ENV=dev"),
    ("The provided key element does not match the schema", "keys-differ", "", "make drift ENV=dev"),
    ("Function not found: arn:aws:lambda:us-east-1:1:function:f", "function-missing", "", APPLY),
    ("The specified log group does not exist.", "log-group-missing", "", APPLY),
    ("KeyError: 'PROFILE_TABLE_NAME'", "setting-missing", "PROFILE_TABLE_NAME", APPLY),
]


@pytest.mark.parametrize(("text", "code", "said", "fix"), KNOWN)
def test_what_is_behind_a_symptom(text: str, code: str, said: str, fix: str) -> None:
    (found,) = symptoms.pasted(text, DEV)
    assert found.code == code
    assert said in found.what
    assert found.fix.startswith(fix)
    assert found.severity == CODES[code][0]
    assert found.cause
    assert found.evidence == text


@pytest.mark.parametrize("text", ["", "hello", "200 OK", "everything is fine", "START RequestId: 1b6c Version: 3"])
def test_what_is_no_symptom(text: str) -> None:
    assert symptoms.pasted(text, DEV) == []


def test_of_many_lines_each_cause_is_told_once() -> None:
    text = "Task timed out after 3.00 seconds\nall is well\nTask timed out after 3.00 seconds\nAccessDenied\n"
    assert [found.code for found in symptoms.pasted(text, DEV)] == ["timeout", "not-authorised"]
    assert [found.code for found in symptoms.pasted("after a cold start\nthe agents are gone", DEV)] == [
        "not-persisting"
    ]


def test_errors_are_alike_whatever_their_ids_and_numbers() -> None:
    one = "2026-11-28T10:00:00.123Z agent 0f8fad5b-d9cb-469f-a165-70867728950e: 17 of 20.5 s, code deadbeef01"
    other = "2026-11-29T11:30:00.456Z agent 7c9e6679-7425-40de-944b-e07fc1f90ae7: 3 of 4.25 s, code cafe012345"
    assert symptoms.normal(one) == symptoms.normal(other) == "… agent …: … of … s, code …"


def test_the_command_explains_without_an_account(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    doctor.main(env="dev", symptom="it isn't saved after a restart; it's lost after a deploy")
    assert "error stack: what is written does not outlive the execution environment" in capsys.readouterr().out
    monkeypatch.setattr("sys.stdin", io.StringIO("x\nAccessDenied\n"))
    doctor.main(env="dev", symptom="-", json_output=True)
    assert [found["code"] for found in json.loads(capsys.readouterr().out)["findings"]] == ["not-authorised"]
    with pytest.raises(CommandError, match="no such symptom") as caught:
        doctor.main(env="dev", symptom="hello")
    assert caught.value.exit_code == 1


def test_each_finding_is_described_and_proven() -> None:
    """In docs/doctor.md, and in a test that breaks something."""
    lines = (paths.ROOT / "docs" / "doctor.md").read_text().splitlines()
    described = [line for line in lines if line.startswith("| `")]
    assert described == [f"| `{code}` | {severity} | {meaning} |" for code, (severity, meaning) in CODES.items()]
    assert {severity for severity, _ in CODES.values()} == set(SEVERITIES)
    tests = "".join(file.read_text() for file in Path(__file__).parent.glob("test_doctor_*.py"))
    unproven = {code for code in CODES if f'"{code}"' not in tests} - {code for _, code, _, _ in KNOWN}
    assert unproven == set()
