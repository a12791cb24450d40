"""`make report`: what the page tells of an environment, and that it is made whatever can't be read."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scripts import aws, paths, report, table_policy
from scripts.console import CommandError, Progress
from scripts.report import Report
from tests.glue import made_up_history
from tests.glue.deployed import BUCKET, KEY, Deployed
from tests.glue.made_up_history import verification

TABLE = "Orders"
DECLARED: dict[str, Any] = {
    "name": TABLE,
    "hash_key": "id",
    "range_key": None,
    "billing_mode": "PAY_PER_REQUEST",
    "read_capacity": None,
    "write_capacity": None,
    "point_in_time_recovery_days": 35,
    "ttl_attribute": "ttl",
    "deletion_protection": False,
    "encryption": "AWS_OWNED",
    "kms_key_arn": None,
    "stream_view_type": None,
    "table_class": "STANDARD",
    "indexes": {},
}


@pytest.fixture
def orders(deployed: Deployed) -> Deployed:
    """A table of the system as it is declared but for its recovery, and an alarm on it."""
    dynamodb, cloudwatch = deployed.aws.client("dynamodb"), deployed.aws.client("cloudwatch")
    dynamodb.create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    dynamodb.update_time_to_live(TableName=TABLE, TimeToLiveSpecification={"Enabled": True, "AttributeName": "ttl"})
    cloudwatch.put_metric_alarm(
        AlarmName="orders-throttled",
        Namespace="AWS/DynamoDB",
        MetricName="ReadThrottleEvents",
        Dimensions=[{"Name": "TableName", "Value": TABLE}],
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )
    state(deployed, tables={"orders": DECLARED}, alarms=["orders-throttled", "orders-gone"])
    yield deployed  # type: ignore[misc]
    cloudwatch.delete_alarms(AlarmNames=["orders-throttled"])
    dynamodb.delete_table(TableName=TABLE)


def state(deployed: Deployed, *, tables: dict[str, Any], alarms: list[str]) -> None:
    verification = {"systems": {"agent_registry": {"tables": tables}}}
    resource = {
        "mode": "managed",
        "type": "aws_cloudwatch_metric_alarm",
        "instances": [{"attributes": {"alarm_name": name}} for name in alarms],
    }
    written = {"version": 4, "outputs": {"verification": {"value": verification}}, "resources": [resource]}
    deployed.s3.put_object(Bucket=BUCKET, Key=KEY, Body=json.dumps(written).encode())


def made(*folders: Path) -> Report:
    environment = report.environments.load("staging")
    return report.gather(environment, [environment.build_dir, *folders], "7d", Progress("report"))


def run(**options: Any) -> None:
    report.main("staging", **options)


Captured = pytest.CaptureFixture[str]


def test_tables_are_held_against_declaration_and_policy(orders: Deployed) -> None:
    (row,) = made().tables or []
    assert (row.name, row.systems, row.verdict) == (TABLE, ["agent_registry"], table_policy.WRONG)
    assert {column: (cell.verdict, cell.text) for column, cell in row.cells.items()} == {
        "as declared": ("wrong", "differs"),
        "recovery": ("short", "off"),
        "deletion protection": ("short", "off"),
        "encryption": ("meets", "AWS's own key"),
        "expiry": ("meets", "by ttl"),
        "capacity": ("meets", "on demand"),
        "alarms": ("meets", "1"),
    }
    assert row.cells["as declared"].notes == ("point_in_time_recovery_days is 0, declared 35",)


def test_a_table_that_is_gone_is_told(orders: Deployed) -> None:
    state(orders, tables={"orders": DECLARED, "others": DECLARED | {"name": "Others"}}, alarms=[])
    rows = {row.name: row for row in made().tables or []}
    assert rows["Others"].cells["as declared"] == table_policy.Cell("wrong", "there is no such table")
    assert rows[TABLE].cells["alarms"].verdict == table_policy.SHORT


def test_alarms_that_ring_come_first_and_missing_ones_are_named(orders: Deployed) -> None:
    orders.aws.client("cloudwatch").set_alarm_state(
        AlarmName="orders-throttled", StateValue="ALARM", StateReason="7 of 7 datapoints"
    )
    ringing, gone = made().alarms or []
    assert (ringing.name, ringing.state, ringing.reason, ringing.watches) == (
        "orders-throttled",
        "ALARM",
        "7 of 7 datapoints",
        f"table {TABLE}",
    )
    assert (gone.name, gone.state) == ("orders-gone", "MISSING")


def test_the_page_and_json_tell_the_same(orders: Deployed, capsys: Captured) -> None:
    made_up_history.write(paths.BUILD / "staging", [verification(1), verification(2, "2", failed="warm queries")])
    run(json_output=True)
    told = json.loads(capsys.readouterr().out)
    page = (paths.BUILD / "staging" / "report.html").read_text()
    assert told["file"] == str(paths.BUILD / "staging" / "report.html")
    assert [one["passed"] for one in told["verifications"]] == [True, False]
    assert told["verifications"][-1]["failed"] == ["agent_registry: warm queries"]
    assert [(one["kind"], [at["release"] for at in one["releases"]]) for one in told["latencies"]] == [
        ("warm", ["v1", "v2"]),
        ("cold", ["v1", "v2"]),
    ]
    assert "staging failed its last verification." in page
    for text in (TABLE, "orders-throttled", "agent_registry: warm queries", ">v2<"):
        assert text in page


def test_runs_of_one_release_are_one_column(deployed: Deployed) -> None:
    runs = [verification(1, warm=[1.0]), verification(2, "2", warm=[9.0]), verification(3, warm=[3.0])]
    warm = next(one for one in report.latencies(runs) if one.kind == "warm")
    columns = [
        (column.release.label, column.release.milliseconds, column.release.runs) for column in warm.chart.columns
    ]
    assert columns == [("v1", [1.0, 3.0], 2), ("v2", [9.0], 1)]


def test_what_was_measured_of_unknown_code_is_nobodys(deployed: Deployed) -> None:
    assert report.latencies([verification(1, failed="deployed code")]) == []
    assert len(report.latencies([verification(1, failed="warm queries")])) == 2


def test_a_history_of_before_there_were_samples_does_no_harm(deployed: Deployed) -> None:
    old = verification(1)
    for name in ("releases", "budgets", "commit", "dirty"):
        del old[name]
    for check in old["checks"]:
        del check["samples"]
    made_up_history.write(paths.BUILD / "staging", [old])
    run()
    assert "passed its last verification" in (paths.BUILD / "staging" / "report.html").read_text()


def test_without_the_account_it_tells_what_is_on_disk(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    made_up_history.write(paths.BUILD / "staging", [verification(1)])
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    found = made()
    assert (found.costs, found.tables, found.alarms, len(found.latencies)) == (None, None, None, 2)
    assert "AWS can't be reached" in found.missing[0]
    assert "Not in this report" in report.html(found)


def test_what_one_may_not_read_is_missing_and_the_rest_is_there(
    orders: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual: Callable[..., Any] = aws.client

    def refusing(service: str, **settings: Any) -> Any:
        client = usual(service, **settings)
        if service == "cloudwatch":
            client.meta.events.register("before-send.*", lambda **_: _refused())
        return client

    monkeypatch.setattr(aws, "client", refusing)
    found = made()
    assert found.alarms is None
    assert [row.cells["alarms"].text for row in found.tables or []] == ["unknown"]
    assert "AccessDenied" in "".join(found.missing)


def _refused() -> Any:
    from botocore.awsrequest import AWSResponse

    body = b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>"
    response = AWSResponse("http://refused", 403, {"content-type": "text/xml"}, None)
    response._content = body
    return response


def test_before_anything_is_applied_or_verified(deployed: Deployed) -> None:
    found = made()
    assert "nothing is applied" in "".join(found.missing)
    assert "was never verified from here" in report.html(found)


def test_a_stack_without_systems_has_nothing_to_tell(deployed: Deployed) -> None:
    state(deployed, tables={}, alarms=[])
    found = made()
    assert (found.tables, found.alarms, found.missing) == ([], [], [])
    page = report.html(found)
    assert "The stack has none" in page


def test_everything_is_text_and_nothing_is_loaded(orders: Deployed) -> None:
    bad = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
    state(orders, tables={"orders": DECLARED, "bad": DECLARED | {"name": bad}}, alarms=[bad])
    made_up_history.write(
        paths.BUILD / "staging", [verification(1, bad, system=bad, commit=bad, failed="warm queries", detail=bad)]
    )
    page = report.html(made())
    assert bad not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 5
    assert "<script" not in page
    assert re.findall(r'(?:src|href)="(?!#|data:,")[^"]*', page) == []
    assert "url(" not in page
    assert "@import" not in page


@pytest.mark.parametrize(
    "options",
    [{"output": Path("/proc/no/report.html")}, {"output": Path("/")}, {"history": Path("/no/folder")}, {"since": "7w"}],
)
def test_what_the_caller_must_mend_is_exit_2(deployed: Deployed, options: dict[str, Any]) -> None:
    with pytest.raises(CommandError) as caught:
        run(**options)
    assert caught.value.exit_code == 2


def test_it_changes_nothing(orders: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    usual: Callable[..., Any] = aws.client
    called: list[str] = []

    def noting(service: str, **settings: Any) -> Any:
        client = usual(service, **settings)
        client.meta.events.register("before-call.*", lambda model, **_: called.append(model.name))
        return client

    monkeypatch.setattr(aws, "client", noting)
    made()
    assert called
    assert [name for name in called if not name.startswith(("Get", "Describe", "List"))] == []
