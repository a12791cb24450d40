"""A sealed plan is carried to another clone, and applied there or refused: nothing in between."""

import json
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.end_to_end.checkout import BUDGETS, Checkout, Ended
from tests.pipeline.runner import share_virtual_environment

ENVIRONMENT = f"""
[aws]
region = "us-east-1"
account_id = "123456789012"

[variables]
systems = ["agent_registry"]
name_prefix = "agents"
{BUDGETS}
"""


class Clones:
    """Where plans are made, and where they are applied: at another path, by another umask."""

    def __init__(self, checkout: Checkout, elsewhere: Path) -> None:
        self.checkout, self.planning, self.applying = checkout, checkout.folder, elsewhere

    def git(self, *command: str, at: Path | None = None) -> str:
        identity = ("-c", "user.name=Developer", "-c", "user.email=developer@example.com", "-c", "commit.gpgsign=false")
        ended = subprocess.run(
            ["git", *identity, *command], cwd=at or self.planning, capture_output=True, text=True, check=True
        )
        return ended.stdout.strip()

    def commit(self, message: str) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", f"--message={message}")
        return self.git("rev-parse", "HEAD")

    def follow(self) -> None:
        """Checks out in the other clone what is committed here."""
        self.git("fetch", "--quiet", at=self.applying)
        self.git("checkout", "--quiet", self.git("rev-parse", "HEAD"), at=self.applying)

    def plan(self, environment: str) -> dict[str, object]:
        ended = self._run(self.planning, "scripts.plan", "--env", environment, "--json")
        assert ended.exit_code == 0, ended.stderr
        planned: dict[str, object] = json.loads(ended.stdout)
        return planned

    def carry(self, environment: str) -> Path:
        """Takes the bundle away from where it was made, as an artifact is."""
        made, carried = self.planning / ".build" / environment / "plan.bundle", self.applying / "reviewed.bundle"
        shutil.copyfile(made, carried)
        made.unlink()
        return carried

    def apply(self, environment: str, bundle: Path, *options: str) -> Ended:
        return self._run(self.applying, "scripts.apply", "--env", environment, "--bundle", str(bundle), *options)

    def _run(self, folder: Path, *command: str) -> Ended:
        names = self.checkout.environment.items()
        inherited = {name: text for name, text in names if not name.startswith("LOCAL_AWS_")}
        ended = subprocess.run(
            [".venv/bin/python", "-m", *command],
            cwd=folder,
            env=inherited | self.checkout.caller,
            umask=0o077 if folder == self.applying else 0o022,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)


@pytest.fixture(scope="module")
def clones(checkout: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Clones:
    started = checkout.run(".venv/bin/python", "-c", "from scripts import aws; aws.start_embedded()")
    assert started.exit_code == 0, started.stderr
    checkout.must("bootstrap", "ENV=local")
    made = Clones(checkout, tmp_path_factory.mktemp("another place") / "clone")
    made.git("init", "--quiet", "--initial-branch=main")
    (made.planning / ".git" / "info" / "exclude").write_text(".venv\n")
    for name in ("staging", "production"):
        (made.planning / "terraform" / "environments" / f"{name}.toml").write_text(ENVIRONMENT)
    made.commit("Two environments")
    made.git("clone", "--quiet", str(made.planning), str(made.applying))
    share_virtual_environment(made.applying)
    return made


def test_what_differs_is_refused_and_what_was_reviewed_is_applied(clones: Clones) -> None:
    tables = clones.checkout.client("dynamodb").list_tables
    planned = clones.plan("staging")
    bundle = clones.carry("staging")

    def refused(said: str, *options: str, environment: str = "staging", file: Path = bundle) -> None:
        ended = clones.apply(environment, file, *options)
        assert (ended.exit_code, ended.stdout) == (2, ""), ended
        assert said in ended.stderr, ended.stderr
        assert "nothing was applied" in ended.stderr
        assert tables()["TableNames"] == []
        left = [path for path in (clones.applying / ".build").rglob("*") if path.suffix in (".zip", ".tfplan")]
        assert left == [], "nothing half unpacked"

    refused("it is not the plan that was reviewed", "--digest", 64 * "0")
    refused("plans environment 'staging', not 'production'", environment="production")

    damaged = clones.applying / "damaged.bundle"
    with zipfile.ZipFile(bundle) as archive:
        start = archive.getinfo("terraform.tfplan").header_offset + 100
    content = bytearray(bundle.read_bytes())
    content[start] ^= 1
    damaged.write_bytes(content)
    refused("damaged", file=damaged)

    (clones.planning / "NOTES").write_text("another commit\n")
    clones.commit("Something else")
    clones.follow()
    refused("was planned from")
    clones.git("checkout", "--quiet", "HEAD~1", at=clones.applying)

    for name, more, said in (
        ("terraform/outputs.tf", "\n", "terraform/outputs.tf changed since this plan was made"),
        ("lambda_src/agent_registry/handler.py", "CHANGED = 1\n", "agent_registry/handler.py changed since this plan"),
        (
            "terraform/environments/staging.toml",
            "function_defaults = { log_retention_days = 30 }\n",
            "variables of staging have changed since this plan was made: function_defaults",
        ),
    ):
        code = clones.applying / name
        before = code.read_text()
        code.write_text(before + more)
        refused(said)
        code.write_text(before)

    applied = clones.apply("staging", bundle, "--digest", str(planned["digest"]), "--json")
    assert applied.exit_code == 0, applied.stderr
    assert json.loads(applied.stdout)["create"] == planned["create"]
    assert "AgentRegistry" in tables()["TableNames"]
    assert not bundle.exists()
    noted = json.loads((clones.applying / ".build" / "staging" / "applied.json").read_text())
    assert noted["digest"] == planned["digest"]
    assert noted["commit"] == clones.git("rev-parse", "HEAD", at=clones.applying)


def test_a_plan_that_the_state_overtook_is_refused_and_one_without_changes_says_so(clones: Clones) -> None:
    clones.follow()
    planned = clones.plan("staging")
    assert planned["changes"] is False
    bundle = clones.carry("staging")
    kept = bundle.read_bytes()
    s3, bucket = clones.checkout.client("s3"), "agent-state-tfstate-123456789012-us-east-1"
    state = json.loads(s3.get_object(Bucket=bucket, Key="staging/terraform.tfstate")["Body"].read())
    for change, said in (
        ({"serial": state["serial"] + 1}, "the state has changed since this plan was made: it had serial"),
        ({"lineage": "x"}, "not the one"),
    ):
        s3.put_object(Bucket=bucket, Key="staging/terraform.tfstate", Body=json.dumps(state | change))
        ended = clones.apply("staging", bundle)
        assert ended.exit_code == 2
        assert said in ended.stderr, ended.stderr
        assert "make plan ENV=staging" in ended.stderr
    s3.put_object(Bucket=bucket, Key="staging/terraform.tfstate", Body=json.dumps(state))
    assert bundle.read_bytes() == kept, "a refused bundle stays"
    assert "no changes" in clones.apply("staging", bundle).stdout
