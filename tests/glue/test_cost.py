"""`make cost` after an apply: what CloudWatch and DynamoDB tell, at the prices of the file, reckoned by hand here."""

import datetime
import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from scripts import consumption, cost, environments, metrics, volumes
from scripts.console import CommandError
from scripts.cost_model import SYSTEMS
from tests.contract import engines
from tests.glue.deployed import BUCKET, KEY, Deployed
from tests.local_aws.test_consumed_capacity import INDEX, TABLES, create, workload

HOURS = 730
WEEK_TO_MONTH = HOURS / (7 * 24)
WHOLE_HOURS = 1 / (7 * 24)  # by so much the window may be longer: it begins with an hour


class Applied:
    """A table of the registry and a provisioned one of the pets on the embedded AWS, and in a state of Terraform."""

    def __init__(self, deployed: Deployed) -> None:
        self.deployed = deployed
        self.dynamodb = deployed.aws.client("dynamodb")
        self.cloudwatch = deployed.aws.client("cloudwatch")
        mark = uuid.uuid4().hex[:8]
        self.agents, self.pets, self.api = f"agents-{mark}", f"pets-{mark}", f"api-{mark}"
        create(self.dynamodb, self.agents, TABLES["all"])
        self.dynamodb.create_table(
            TableName=self.pets,
            BillingMode="PROVISIONED",
            ProvisionedThroughput={"ReadCapacityUnits": 4, "WriteCapacityUnits": 2},
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        )
        self.resources = [
            self._resource("module.agent_registry_table[0]", "aws_dynamodb_table", name=self.agents),
            self._resource("module.pet_store_table[0]", "aws_dynamodb_table", name=self.pets),
            self._resource(
                "module.agent_registry_function[0]",
                "aws_lambda_function",
                function_name=self.agents,
                memory_size=512,
                architectures=["arm64"],
            ),
            self._resource(
                "module.agent_registry_function[0]", "aws_cloudwatch_log_group", name=f"/aws/lambda/{self.agents}"
            ),
            self._resource("module.agent_registry_table[0]", "aws_cloudwatch_metric_alarm", period=60),
            self._resource("", "aws_cloudwatch_dashboard", dashboard_name="all"),
            self._resource("module.http_api[0]", "aws_apigatewayv2_api", id=self.api),
        ]
        self.save()

    @staticmethod
    def _resource(module: str, kind: str, **attributes: Any) -> dict[str, Any]:
        return {"module": module, "mode": "managed", "type": kind, "instances": [{"attributes": attributes}]}

    def save(self) -> None:
        state = {"version": 4, "outputs": {"verification": {"value": {"systems": {}}}}, "resources": self.resources}
        self.deployed.s3.put_object(Bucket=BUCKET, Key=KEY, Body=json.dumps(state).encode())

    def publish(self, namespace: str, name: str, value: float, days_ago: float = 1, **dimensions: str) -> None:
        datum = {
            "MetricName": name,
            "Dimensions": [{"Name": key, "Value": one} for key, one in dimensions.items()],
            "Value": value,
            "Timestamp": datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=days_ago),
        }
        self.cloudwatch.put_metric_data(Namespace=namespace, MetricData=[datum])


@pytest.fixture
def applied(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> Iterator[Applied]:
    # The tables were made just now; what they are said to have used lies before.
    monkeypatch.setattr(consumption, "_of_the_stack", lambda chosen, _tables, _notes: chosen)
    made = Applied(deployed)
    yield made
    for name in (made.agents, made.pets):
        made.dynamodb.delete_table(TableName=name)


def told(capsys: pytest.CaptureFixture[str], since: str = "7d") -> dict[str, Any]:
    cost.main(env="staging", since=since, json_output=True)
    found: dict[str, Any] = json.loads(capsys.readouterr().out)["consumed"]
    return found


@pytest.mark.parametrize("engine_name", ["dynoxide", "dynamodb_local"])
def test_a_workload_recorded_on_a_real_engine_costs_what_its_consumed_capacity_says(
    applied: Applied, capsys: pytest.CaptureFixture[str], engine_name: str
) -> None:
    if missing := engines.missing(engine_name):
        pytest.skip(missing)
    dollars = 0.0
    with engines.running(engine_name) as engine:
        create(engine.boto3, applied.agents, TABLES["all"])
        for title, consumed in workload(engine.boto3, applied.agents):
            reads = any(verb in title for verb in ("get", "query", "count", "scan"))
            name = f"Consumed{'Read' if reads else 'Write'}CapacityUnits"
            for one in consumed if isinstance(consumed, list) else [consumed]:
                dollars += one["CapacityUnits"] * (0.125 if reads else 0.625) / 1e6
                of_index = one.get("GlobalSecondaryIndexes", {}).get(INDEX, {"CapacityUnits": 0})["CapacityUnits"]
                where = {"TableName": applied.agents}
                applied.publish("AWS/DynamoDB", name, one["CapacityUnits"] - of_index, 3, **where)
                applied.publish("AWS/DynamoDB", name, of_index, 3, **where, GlobalSecondaryIndexName=INDEX)
    registry = told(capsys)["systems"]["agent_registry"]
    found = (registry["reads_usd"] + registry["writes_usd"]) / WEEK_TO_MONTH
    assert found == pytest.approx(dollars, rel=0.02)
    assert dollars > 0.0001


def test_what_the_embedded_aws_counts_is_what_is_told(applied: Applied, capsys: pytest.CaptureFixture[str]) -> None:
    units = {"read": 0.0, "write": 0.0}
    for title, consumed in workload(applied.dynamodb, applied.agents):
        kind = "read" if any(verb in title for verb in ("get", "query", "count", "scan")) else "write"
        units[kind] += sum(one["CapacityUnits"] for one in (consumed if isinstance(consumed, list) else [consumed]))
    table = told(capsys, "1h")["tables"][applied.agents]["places"].values()
    assert sum(place["read_units_window"] for place in table) == pytest.approx(units["read"])
    assert sum(place["write_units_window"] for place in table) == pytest.approx(units["write"])


def test_each_kind_of_cost_is_reckoned_at_its_price(applied: Applied, capsys: pytest.CaptureFixture[str]) -> None:
    applied.publish("AWS/Lambda", "Invocations", 2e6, FunctionName=applied.agents)
    applied.publish("AWS/Lambda", "Duration", 2e6 * 9.5, FunctionName=applied.agents)
    applied.publish("AWS/ApiGateway", "Count", 3e6, ApiId=applied.api)
    applied.publish("AWS/Logs", "IncomingBytes", 2**31, LogGroupName=f"/aws/lambda/{applied.agents}")
    applied.dynamodb.update_continuous_backups(
        TableName=applied.agents, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    applied.dynamodb.put_item(TableName=applied.agents, Item={"id": {"S": "1"}, "at": {"N": "1"}})
    found = told(capsys)
    registry, pets = found["systems"]["agent_registry"], found["systems"]["pet_store"]
    gigabyte_seconds = 2e6 * 0.010 * 0.5  # begun milliseconds are billed: half of one more in the mean
    assert registry["function_usd"] == pytest.approx(
        WEEK_TO_MONTH * (2 * 0.20 + gigabyte_seconds * 0.0000133334), rel=WHOLE_HOURS
    )
    assert registry["api_usd"] == pytest.approx(WEEK_TO_MONTH * 2, rel=WHOLE_HOURS)
    shared = found["systems"]["shared"]["api_usd"]
    assert shared == pytest.approx(WEEK_TO_MONTH, rel=WHOLE_HOURS), "what reached no function"
    assert registry["logs_usd"] == pytest.approx(WEEK_TO_MONTH * 2 * 0.50, rel=WHOLE_HOURS)
    assert registry["fixed"] == {"alarms": 0.10}
    size = found["tables"][applied.agents]["storage_bytes"]
    assert size == (2 + 1) + (2 + 2) + 100
    assert registry["storage_usd"] == pytest.approx(size / 2**30 * 0.25)
    assert registry["recovery_usd"] == pytest.approx(size / 2**30 * 0.20)
    assert pets["provisioned_usd"] == pytest.approx(HOURS * (4 * 0.00013 + 2 * 0.00065))
    assert (pets["reads_usd"], pets["recovery_usd"]) == (0, 0)
    assert found["systems"]["shared"]["fixed"] == {"dashboards": 3.00}
    assert found["month_usd"] == pytest.approx(sum(one["month_usd"] for one in found["systems"].values()))
    by_call = registry["function_usd"] + registry["api_usd"] + registry["logs_usd"]
    assert registry["million_calls_usd"] == pytest.approx(by_call / (2 * WEEK_TO_MONTH), rel=WHOLE_HOURS)
    assert found["window_usd"] == pytest.approx(found["month_usd"] / WEEK_TO_MONTH, rel=WHOLE_HOURS)


def test_the_table_names_prices_and_what_is_not_counted(applied: Applied, capsys: pytest.CaptureFixture[str]) -> None:
    cost.main(env="staging", since="7d")
    shown = capsys.readouterr().out
    assert "Break-even" in shown
    assert "list prices of us-east-1" in shown
    assert "not those of eu-north-1" in shown
    assert "Not counted: free tier" in shown


def test_the_tables_fit_a_terminal_of_80_columns(
    applied: Applied, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cost.out, "width", 80)
    for system in SYSTEMS:
        applied.resources.append(
            applied._resource(f"module.{system}_function[0]", "aws_lambda_function", function_name=system)
        )
        applied.publish("AWS/Lambda", "Invocations", 123_456_789, FunctionName=system)
    applied.save()
    cost.main(env="staging", since="7d")
    lines = capsys.readouterr().out.splitlines()
    (calls,) = (line.split() for line in lines if line.startswith("calls "))
    assert len(calls) == 1 + len({*SYSTEMS, "shared", "total"}), "all of each"
    tables = [line for line in lines if "  " in line]
    assert len(tables) > 10
    assert max(map(len, tables)) <= 80
    assert "…" not in "".join(lines)


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0"), (12.4, "12"), (999.6, "1k"), (1234, "1.23k"), (999_600, "1M"), (4.2e9, "4.2G")]
)
def test_counts_are_short(count: float, text: str) -> None:
    assert cost._count(count) == text


def test_a_table_that_somebody_deleted_is_told(applied: Applied, capsys: pytest.CaptureFixture[str]) -> None:
    applied.resources[0]["instances"][0]["attributes"]["name"] = "gone-for-good"
    applied.save()
    assert told(capsys)["notes"] == [
        "Table gone-for-good is in the state but not in the account: it counts as nothing."
    ]


def test_more_metrics_than_one_request_takes_are_read_in_several(
    applied: Applied, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "_QUERIES_A_CALL", 2)
    applied.publish("AWS/ApiGateway", "Count", 5, ApiId=applied.api)
    assert told(capsys)["api_requests_window"] == 5


@pytest.mark.parametrize(
    ("since", "period"), [("10m", 60), ("6h", 60), ("7h", 300), ("3d", 300), ("7d", 3600), ("455d", 3600)]
)
def test_the_period_is_one_that_cloudwatch_still_has(since: str, period: int) -> None:
    now = 1_800_000_123.0
    seconds = {"m": 60, "h": 3600, "d": 86400}[since[-1]] * int(since[:-1])
    chosen = consumption.window(seconds, now)
    assert chosen.period == period
    assert chosen.start % period == chosen.end % period == 0
    assert chosen.start <= now - seconds < chosen.start + period
    assert chosen.seconds == now - chosen.start


@pytest.mark.parametrize(("age", "start", "period"), [(10, 60, 60), (7000, 7000, 60), (100_000, 100_000, 300)])
def test_what_was_used_before_the_stack_was_made_is_not_its(age: int, start: int, period: int) -> None:
    """Another of the same name may have been destroyed within the window."""
    now = 1_800_000_000.0
    made = datetime.datetime.fromtimestamp(now - age, datetime.UTC)
    older = {"TableName": "older", "CreationDateTime": made}
    younger = {"TableName": "younger", "CreationDateTime": made + datetime.timedelta(seconds=5)}
    tables = [consumption._Table("pet_store", described, False, 0) for described in (younger, older)]
    notes: list[str] = []
    chosen = consumption._of_the_stack(consumption.window(7 * 86400, now), tables, notes)
    assert chosen.period == period
    assert now - start - period < chosen.start <= now - start
    assert chosen.seconds == now - chosen.start
    assert "younger than the window" in notes[0]


@pytest.mark.parametrize("seconds", [0, 456 * 86400])
def test_a_window_that_cloudwatch_knows_nothing_of_is_refused(seconds: int) -> None:
    with pytest.raises(CommandError, match="CloudWatch keeps metrics for 455"):
        consumption.window(seconds)


def stated(text: str) -> volumes.Volumes:
    file = environments.paths.ENVIRONMENTS / "dev.toml"
    return volumes.of(environments.parse("dev", file, f'[aws]\nregion = "us-east-1"\n{text}').volumes)


def test_volumes_of_an_environments_file() -> None:
    said = stated('[volumes.pet_store]\n"GET /pets" = 5_000\npets_listed = 10\n[volumes]\npeak_to_mean = 5')
    assert said.settings == {"peak_to_mean": 5.0, "function_milliseconds": 20.0}
    assert said.systems["pet_store"].calls == {"GET /pets": 5000, "POST /pets": 0, "GET /pets/{id}": 0}
    assert said.systems["pet_store"].settings["pets_listed"] == 10
    assert set(said.systems["agent_registry"].calls.values()) == {0}


def test_without_volumes_a_million_calls_of_each_route_are_assumed() -> None:
    said = stated("")
    assert not said.is_stated
    assert {count for system in SYSTEMS for count in said.systems[system].calls.values()} == {1_000_000}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[volumes]\npet_stor = 1", "Did you mean 'pet_store'?"),
        ("[volumes]\npet_store = 1", "Begin one with"),
        ('[volumes.pet_store]\n"GET /pet" = 1', "Did you mean 'GET /pets'?"),
        ("[volumes.pet_store]\npets_list = 1", "Did you mean 'pets_listed'?"),
        ('[volumes.pet_store]\n"GET /pets" = "many"', "is no number from 0"),
        ('[volumes.pet_store]\n"GET /pets" = -1', "is no number from 0"),
        ("[volumes.pet_store]\nby_type_share = 2", "from 0 to 1"),
        ("[volumes]\npeak_to_mean = 0.5", "from 1"),
    ],
)
def test_what_is_wrong_in_volumes_is_told(text: str, message: str) -> None:
    with pytest.raises(CommandError) as caught:
        stated(text)
    said = f"{caught.value.message} {caught.value.next_step}"
    assert message in said
    assert "dev.toml: [volumes" in said
