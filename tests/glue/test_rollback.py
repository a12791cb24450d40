"""A rollback moves callers at once, is known to the next plan, and ends right however it was interrupted."""

import json
from typing import Any

import pytest

from scripts import aws, build_lambdas, deployed_code, paths, rollback, rollback_marks, stack
from scripts.console import EXIT_FAILED, EXIT_USAGE, CommandError
from tests.glue.deployed import BUCKET, KEY, SYSTEM, Deployed, source


@pytest.fixture
def four(deployed: Deployed) -> Deployed:
    """Version 2 is the code of 1 with other settings; 3 and 4 are code of their own. 4 is live."""
    deployed.publish(source(1))
    deployed.publish(source(1), Timeout=7)
    deployed.apply(deployed.publish(source(3), source(4)))
    return deployed


def roll_back(system: str = SYSTEM, to: str = "", *, json_output: bool = False) -> None:
    rollback.main(env="staging", system=system, to=to, json_output=json_output)


def test_callers_get_the_newest_older_version_of_other_code(four: Deployed, capsys: pytest.CaptureFixture[str]) -> None:
    roll_back()
    assert four.live == "3"
    said = capsys.readouterr().out
    assert "agent_registry: version 4 → 3, just published, of 4" in said
    assert "make verify ENV=staging" in said
    mark = four.marks.rollbacks[SYSTEM]
    assert (mark.from_version, mark.from_code_sha256) == ("4", four.code("4"))
    assert (mark.to_version, mark.to_code_sha256) == ("3", four.code("3"))
    assert mark.since.endswith("Z")
    assert mark.by.startswith("arn:aws:")
    assert '"agent_registry": "3"' in four.rendered

    roll_back()
    assert four.live == "3", "a repetition goes no further"
    assert "callers get version 3 already" in capsys.readouterr().out


def test_a_second_step_back_and_the_way_forward(four: Deployed, capsys: pytest.CaptureFixture[str]) -> None:
    roll_back()
    roll_back(to="2")
    assert four.live == "2"
    assert four.marks.rollbacks[SYSTEM].from_version == "4", "still from what Terraform deployed"
    assert four.marks.bad_versions[SYSTEM].keys() == {"3", "4"}

    capsys.readouterr()
    roll_back(to="latest", json_output=True)
    moved = json.loads(capsys.readouterr().out)["systems"][SYSTEM]
    assert moved == {"from": "2", "to": "4", "rolled_back": False}
    assert four.live == "4"
    assert not four.marks.rollbacks
    assert "pinned_versions" not in four.rendered

    roll_back()
    assert four.live == "2", "3 was found bad before"
    roll_back(system="", to="latest")
    assert four.live == "4"
    with pytest.raises(CommandError, match="nothing is rolled back"):
        roll_back(system="", to="latest")


def test_code_that_was_the_same_all_along_is_named_by_its_version(deployed: Deployed) -> None:
    deployed.publish(source(1))
    deployed.apply(deployed.publish(source(1), Timeout=7))
    with pytest.raises(CommandError, match="no version older than 2 with other code") as refused:
        roll_back()
    assert "There are: 2 (just published), 1 (just published)" in refused.value.next_step
    roll_back(to="1")
    assert deployed.live == "1"
    assert stack.open_stack("staging").pinned_versions == {SYSTEM: "1"}, "changed settings do not lift it"


@pytest.mark.parametrize("to", ["", "3"])
def test_what_was_interrupted_before_the_alias_moved_is_finished(
    four: Deployed, monkeypatch: pytest.MonkeyPatch, to: str
) -> None:
    def killed(_move: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as interrupted:
        interrupted.setattr(rollback, "_move_alias", killed)
        with pytest.raises(KeyboardInterrupt):
            roll_back()
    assert four.live == "4"
    assert stack.open_stack("staging").pinned_versions == {SYSTEM: "3"}, "an apply would finish it, too"
    roll_back(to=to)
    assert four.live == "3"
    with monkeypatch.context() as interrupted:
        interrupted.setattr(rollback, "_move_alias", killed)
        with pytest.raises(KeyboardInterrupt):
            roll_back(to="latest")
    assert stack.open_stack("staging").pinned_versions == {}, "an apply would finish that, too"
    roll_back(to="latest")
    assert four.live == "4"


def test_two_who_roll_back_at_once_do_not_cross(four: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = stack.open_stack("staging")
    roll_back(to="2")
    monkeypatch.setattr(stack, "open_stack", lambda _env: mine)
    with pytest.raises(CommandError, match="somebody else rolled back") as refused:
        roll_back(to="1")
    assert refused.value.exit_code == EXIT_FAILED
    assert four.live == "2"
    assert four.marks.rollbacks[SYSTEM].to_version == "2"


def test_an_alias_that_an_apply_moves_at_the_same_time_is_left_there(
    four: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = rollback._mark

    def overtaken(*arguments: Any) -> Any:
        written = mark(*arguments)
        four.apply(four.publish(source(5)))
        return written

    monkeypatch.setattr(rollback, "_mark", overtaken)
    with pytest.raises(CommandError, match="was moved by somebody else at the same time"):
        roll_back()
    assert four.live == "5"
    assert stack.open_stack("staging").pinned_versions == {}, "that was other code"


@pytest.mark.parametrize("operation", ["OperationTypeApply", "OperationTypePlan"])
def test_an_apply_under_way_is_told_and_not_waited_for(
    four: Deployed, operation: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = {"Operation": operation, "Who": "ann@host", "Created": "2026-11-21T08:00:00Z"}
    four.s3.put_object(Bucket=BUCKET, Key=f"{KEY}.tflock", Body=json.dumps(lock).encode())
    roll_back()
    assert four.live == "3"
    told = "an apply is under way (ann@host since 2026-11-21T08:00:00Z)" in capsys.readouterr().err
    assert told == (operation == "OperationTypeApply")


def test_all_calls_go_to_the_version_rolled_back_to(four: Deployed) -> None:
    weights = {"AdditionalVersionWeights": {"4": 0.5}}
    four.functions.update_alias(FunctionName=four.name, Name="live", FunctionVersion="3", RoutingConfig=weights)
    roll_back(to="3")
    alias = four.functions.get_alias(FunctionName=four.name, Name="live")
    assert alias["FunctionVersion"] == "3"
    assert not alias.get("RoutingConfig")


@pytest.mark.parametrize(
    ("system", "to", "message", "next_step"),
    [
        (SYSTEM, "9", "agent_registry has no version 9", "There are: 4 (just published), 3"),
        (SYSTEM, "4", "callers of agent_registry get version 4 already", "There are: 4"),
        (SYSTEM, "live", "TO=live is no version", "TO=latest"),
        ("pet_store", "", "there is no system 'pet_store'", "SYSTEM=agent_registry"),
        ("", "3", "TO=3 is a version of which system", "SYSTEM=agent_registry"),
        ("", "", "no apply from this checkout moved a function", "SYSTEM=agent_registry"),
    ],
)
def test_what_can_not_be_is_told_with_the_way_out(
    four: Deployed, system: str, to: str, message: str, next_step: str
) -> None:
    with pytest.raises(CommandError, match=message) as refused:
        roll_back(system=system, to=to)
    assert next_step in refused.value.next_step
    assert refused.value.exit_code == EXIT_USAGE
    assert four.live == "4"
    assert not four.marks.rollbacks


def test_without_a_system_the_last_apply_is_undone(four: Deployed, capsys: pytest.CaptureFixture[str]) -> None:
    def applied(before: str | None, after: str) -> None:
        moved = {SYSTEM: {"from": before, "to": after}, "gone_since": {"from": "1", "to": "2"}}
        (four.folder / "staging").mkdir(exist_ok=True)
        (four.folder / "staging" / "applied.json").write_text(json.dumps({"functions": moved}))

    applied(None, "4")
    with pytest.raises(CommandError, match="had no version before that apply"):
        roll_back(system="")
    applied("1", "3")
    with pytest.raises(CommandError, match="callers of agent_registry get version 4, not 3"):
        roll_back(system="")
    applied("1", "4")
    for _ in range(2):
        roll_back(system="")
        assert four.live == "1"
    assert four.marks.rollbacks[SYSTEM].from_version == "4"


def test_new_code_lifts_a_rollback_and_an_apply_of_it_takes_the_mark_back(four: Deployed) -> None:
    roll_back()
    (note,) = stack.rollback_notes(stack.open_stack("staging"))
    assert note.startswith("agent_registry is rolled back from version 4 to 3 since ")
    assert "TO=latest" in note

    four.build("other code")
    lifted = stack.open_stack("staging")
    assert lifted.pinned_versions == {}
    assert "pinned_versions" not in four.rendered
    (note,) = stack.rollback_notes(lifted)
    assert note.endswith("its code is another now, which goes live.")

    assert four.marks.settled(four.outputs("4")) == four.marks, "an apply of something else"
    settled = four.marks.settled(four.outputs("1"))
    assert not settled.rollbacks
    assert settled.bad_versions == {SYSTEM: {"4": four.code("4")}}
    assert four.marks.settled({}).bad_versions == {}, "a function made anew counts from 1 again"


def test_foreign_code_is_found_although_callers_are_rolled_back(four: Deployed) -> None:
    outputs, built = four.outputs("4"), build_lambdas.read_manifest(paths.LAMBDA_BUILD)
    roll_back()
    assert deployed_code.replaced(outputs, built, four.marks) == {}
    assert four.name in deployed_code.replaced(outputs, built, rollback_marks.Marks()), "unless it is known"
    foreign = four.publish("def handler(event, context): return 'foreign'")
    assert four.name in deployed_code.replaced(outputs, built, four.marks), "in $LATEST"
    four.functions.update_alias(FunctionName=four.name, Name="live", FunctionVersion=foreign)
    four.publish(source(4))
    assert four.name in deployed_code.replaced(outputs, built, four.marks), "where the callers are"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"State": "Inactive"}, "version 3 was idle"),
        ({"SnapStart": {"ApplyOn": "PublishedVersions", "OptimizationStatus": "Off"}}, "version 3 was idle"),
        ({"State": "Active", "SnapStart": {"ApplyOn": "PublishedVersions", "OptimizationStatus": "On"}}, ""),
        ({"ProvisionedConcurrency": True}, "provisioned concurrency follows in some minutes"),
    ],
)
def test_what_callers_will_feel_is_told(
    four: Deployed, settings: dict[str, Any], says: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    lambda_answers(four, settings, monkeypatch)
    roll_back()
    assert four.live == "3"
    notes = [line for line in capsys.readouterr().err.splitlines() if line.startswith(f"{SYSTEM}: ")]
    assert says in " ".join(notes)
    assert bool(notes) == bool(says)


def test_a_version_that_can_not_run_is_refused(four: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    lambda_answers(four, {"State": "Failed", "StateReason": "its key was deleted"}, monkeypatch)
    with pytest.raises(CommandError, match="version 3 of agent_registry can't run: its key was deleted"):
        roll_back()
    assert four.live == "4"
    assert not four.marks.rollbacks


def lambda_answers(four: Deployed, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """What the embedded AWS does not know: a version that is not Active, snapshots, provisioned concurrency."""
    client = aws.client

    def changed(service: str, **options: Any) -> Any:
        made = client(service, **options)
        if service == "lambda":
            configuration = made.get_function_configuration
            made.get_function_configuration = lambda **wanted: configuration(**wanted) | settings
            if "ProvisionedConcurrency" in settings:
                made.get_provisioned_concurrency_config = lambda **_: {"Status": "READY"}
        return made

    monkeypatch.setattr(aws, "client", changed)


def test_marks_of_a_later_format_are_not_guessed_at(four: Deployed) -> None:
    four.s3.put_object(Bucket=BUCKET, Key=rollback_marks.key(KEY), Body=b'{"format": 2}')
    with pytest.raises(CommandError, match="has format 2, this checkout knows 1"):
        roll_back()
