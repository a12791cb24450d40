"""A sealed plan is what was sealed, or it is refused: without Terraform, without AWS."""

import hashlib
import io
import json
import shutil
import stat
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts import paths, plan_bundle
from scripts.console import CommandError
from scripts.environments import Environment
from scripts.plan_bundle import Bundle
from tests.recording_guarantees import Guarantee

MANIFEST = {"functions": {"pets": {"zip": "pets.zip"}}}
MEMBERS = {
    plan_bundle.PLAN: b"PK a plan",
    plan_bundle.PLAN_JSON: b"{}\n",
    plan_bundle.PLAN_TEXT: b"Terraform will ...",
    plan_bundle.VARIABLES: b'# Rendered\n\nname = "a"\n\nsystems = ["pets"]\n',
    plan_bundle.LOCK_FILE: (paths.TERRAFORM_ROOT / plan_bundle.LOCK_FILE).read_bytes(),
    "lambdas/manifest.json": json.dumps(MANIFEST).encode(),
    "lambdas/pets.zip": b"PK a function",
}
PLACE = {
    "account_id": "123456789012",
    "region": "eu-north-1",
    "state_bucket": "states",
    "state_key": "dev/terraform.tfstate",
    "terraform_version": "1.11.4",
}
FACTS: dict[str, Any] = {
    "environment": "dev",
    **PLACE,
    "state_lineage": "6c1b",
    "state_serial": 7,
    "commit": None,
    "sources": {},
}
SEALED = plan_bundle.seal(FACTS, MEMBERS)


def test_what_was_sealed_comes_out() -> None:
    bundle = plan_bundle.unseal(SEALED, hashlib.sha256(SEALED).hexdigest())
    assert bundle.members == MEMBERS
    assert bundle.facts.items() >= FACTS.items()
    assert plan_bundle.functions_of(bundle) == MANIFEST["functions"]
    assert plan_bundle.seal(FACTS, dict(reversed(MEMBERS.items()))) == SEALED, "the same bytes for the same plan"


def test_no_byte_can_be_flipped(guarantee: Guarantee) -> None:
    """In any member, in bundle.json, in the seal, and in what the zip says of them."""
    unnoticed = []
    for byte in range(len(SEALED)):
        damaged = bytearray(SEALED)
        damaged[byte] ^= 1
        try:
            plan_bundle.unseal(bytes(damaged))
        except CommandError:
            continue
        unnoticed.append(byte)
    guarantee("sealed-plan", bytes_flipped=len(SEALED), unnoticed=len(unnoticed))
    assert unnoticed == []


@pytest.mark.parametrize("name", [*MEMBERS, "bundle.json", "seal"])
def test_a_member_exchanged_by_somebody_who_can_make_zips_is_refused(name: str) -> None:
    with zipfile.ZipFile(io.BytesIO(SEALED)) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    flipped = bytearray(members[name])
    flipped[len(flipped) // 2] ^= 1
    with pytest.raises(CommandError, match="nothing was applied"):
        plan_bundle.unseal(plan_bundle._packed(members | {name: bytes(flipped)}))
    del members[name]
    with pytest.raises(CommandError, match="nothing was applied"):
        plan_bundle.unseal(plan_bundle._packed(members))


@given(st.binary(max_size=200))
def test_foreign_files_are_refused(content: bytes) -> None:
    with pytest.raises(CommandError, match="nothing was applied"):
        plan_bundle.unseal(content)


@given(st.integers(0, len(SEALED) - 1), st.integers(0, 255))
def test_cut_and_lengthened_files_are_refused(end: int, byte: int) -> None:
    for content in (SEALED[:end], SEALED[end:] if end else b"", SEALED + bytes([byte])):
        with pytest.raises(CommandError, match="nothing was applied"):
            plan_bundle.unseal(content)


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "lambdas/../outside", "lambdas/.."])
def test_no_member_leads_out_of_its_folder(name: str) -> None:
    with pytest.raises(CommandError, match="nothing was applied"):
        plan_bundle.unseal(plan_bundle.seal(FACTS, MEMBERS | {name: b"x"}))


def test_a_sealed_bundle_of_somebody_else_is_found_by_its_digest() -> None:
    other = plan_bundle.seal(FACTS, MEMBERS | {plan_bundle.PLAN: b"PK another plan"})
    assert plan_bundle.unseal(other)
    with pytest.raises(CommandError, match="it is not the plan that was reviewed"):
        plan_bundle.unseal(other, hashlib.sha256(SEALED).hexdigest())


def test_a_missing_bundle_is_told(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="there is no bundle at"):
        plan_bundle.read(tmp_path / "plan.bundle")


@pytest.mark.parametrize("setting", PLACE)
def test_another_place_is_refused(setting: str) -> None:
    bundle = plan_bundle.unseal(SEALED)
    plan_bundle.require_place(bundle, PLACE, MEMBERS[plan_bundle.VARIABLES])
    with pytest.raises(CommandError, match="was planned for") as caught:
        plan_bundle.require_place(bundle, PLACE | {setting: "another"}, MEMBERS[plan_bundle.VARIABLES])
    assert caught.value.next_step == "Run `make plan ENV=dev` again."


def test_other_variables_are_named() -> None:
    """A rollback since then, for example, which keeps a system at an older version."""
    rolled_back = MEMBERS[plan_bundle.VARIABLES].replace(b'"a"', b'"b"') + b'\npinned_versions = { pets = "1" }\n'
    with pytest.raises(CommandError, match="have changed since this plan was made: name, pinned_versions"):
        plan_bundle.require_place(plan_bundle.unseal(SEALED), PLACE, rolled_back)


def test_other_providers_are_refused() -> None:
    other = plan_bundle.unseal(plan_bundle.seal(FACTS, MEMBERS | {plan_bundle.LOCK_FILE: b"provider ..."}))
    with pytest.raises(CommandError, match="names other providers"):
        plan_bundle.require_place(other, PLACE, MEMBERS[plan_bundle.VARIABLES])


@pytest.mark.parametrize(
    ("state", "said"), [(("6c1b", 8), "it had serial 7, now 8"), (("other", 7), "not the one"), ((None, 0), "not the")]
)
def test_another_state_is_refused(state: tuple[str | None, int], said: str) -> None:
    bundle = plan_bundle.unseal(SEALED)
    plan_bundle.require_state(bundle, "6c1b", 7)
    with pytest.raises(CommandError, match=said):
        plan_bundle.require_state(bundle, *state)


def test_a_bundle_is_for_its_owner_alone_and_unpacks_where_the_plan_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "LAMBDA_BUILD", tmp_path / "lambdas")
    file = tmp_path / "plan.bundle"
    digest = plan_bundle.write(file, SEALED)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    plan_bundle.unpack(plan_bundle.read(file, digest), tmp_path / "terraform.tfplan")
    assert (tmp_path / "terraform.tfplan").read_bytes() == MEMBERS[plan_bundle.PLAN]
    assert {path.name for path in (tmp_path / "lambdas").iterdir()} == {"manifest.json", "pets.zip"}


class Sources:
    """A small repository, and bundles planned from it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environment = Environment("dev", root / "dev.toml", "eu-north-1", "", "", False, "", "key", {})
        for name in ("terraform/versions.tf", "lambda_src/pets/handler.py", "terraform/environments/dev.toml"):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text("1\n")

    def git(self, *command: str) -> None:
        identity = ("-c", "user.name=D", "-c", "user.email=d@example.com", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *identity, *command], cwd=self.root, check=True, capture_output=True)

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message=more")

    def plan(self, environment: str = "dev") -> Bundle:
        facts = FACTS | plan_bundle.source_facts() | {"environment": environment}
        return plan_bundle.unseal(plan_bundle.seal(facts, MEMBERS))


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sources:
    for name, folder in {"ROOT": "", "TERRAFORM_ROOT": "terraform", "LAMBDA_SOURCE": "lambda_src"}.items():
        monkeypatch.setattr(paths, name, tmp_path / folder)
    return Sources(tmp_path)


def test_another_commit_is_refused_and_a_dirty_tree_only_where_it_matters(sources: Sources) -> None:
    sources.git("init", "--quiet")
    sources.commit()
    bundle = sources.plan()
    assert bundle.facts["dirty"] is False
    plan_bundle.require_sources(bundle, sources.environment)
    (sources.root / "README.md").write_text("not planned\n")
    plan_bundle.require_sources(bundle, sources.environment)
    handler = sources.root / "lambda_src" / "pets" / "handler.py"
    handler.write_text("2\n")
    assert sources.plan().facts["dirty"] is True
    with pytest.raises(CommandError, match=r"lambda_src/pets/handler\.py changed since this plan was made"):
        plan_bundle.require_sources(bundle, sources.environment)
    handler.write_text("1\n")
    sources.commit()
    with pytest.raises(CommandError, match=f"was planned from {bundle.facts['commit']}, and [0-9a-f]{{40}} is"):
        plan_bundle.require_sources(bundle, sources.environment)


def test_outside_git_the_sources_alone_must_be_the_same(sources: Sources) -> None:
    bundle = sources.plan()
    assert bundle.facts["commit"] is None
    plan_bundle.require_sources(bundle, sources.environment)
    shutil.rmtree(sources.root / "lambda_src" / "pets")
    with pytest.raises(CommandError, match=r"handler\.py changed"):
        plan_bundle.require_sources(bundle, sources.environment)


def test_another_environment_is_refused(sources: Sources) -> None:
    with pytest.raises(CommandError, match="plans environment 'prod', not 'dev'"):
        plan_bundle.require_sources(sources.plan("prod"), sources.environment)
