"""Whatever is interrupted or killed, `make up` recovers by itself."""

import os
import signal
import subprocess

import pytest

from tests.end_to_end.checkout import COMMAND_SECONDS, Checkout, wait_for
from tests.recording_guarantees import Guarantee


@pytest.fixture(autouse=True, scope="module")
def _one_system(checkout: Checkout) -> None:
    """Without what hangs on it, which Terraform would make anew each time."""
    checkout.run_only("agent_registry")
    file = checkout.folder / "terraform" / "environments" / "local.toml"
    file.write_text(f"{file.read_text()}alarms = {{ enabled = false }}\nenable_dashboard = false\n")


def started(checkout: Checkout) -> "subprocess.Popen[str]":
    """A `make up` whose Terraform starts its provider itself, as what ends must end with it."""
    return checkout.start("make", "up", TF_REATTACH_PROVIDERS="")


def apply_under_way(checkout: Checkout, process: "subprocess.Popen[str]") -> None:
    """Waits until the apply has made its first resources."""
    marker = checkout.folder / ".build" / "local" / "apply-under-way"

    def made() -> bool:
        assert process.poll() is None, process.communicate()
        return marker.exists() and bool(checkout.client("iam").list_roles()["Roles"])

    wait_for(made, "the apply")


def end(process: "subprocess.Popen[str]") -> tuple[int, str]:
    _, stderr = process.communicate(timeout=COMMAND_SECONDS)
    return process.returncode, stderr


def test_ctrl_c_in_mid_apply(checkout: Checkout, guarantee: Guarantee) -> None:
    process = started(checkout)
    apply_under_way(checkout, process)
    os.killpg(process.pid, signal.SIGINT)
    code, stderr = end(process)
    assert code != 0
    assert "interrupted" in stderr
    assert "Traceback" not in stderr
    mended = "verified in" in checkout.must("up")
    guarantee("interrupted-apply", interruptions=1, not_mended=int(not mended))
    assert mended


def test_the_embedded_aws_is_killed_in_mid_apply(checkout: Checkout, guarantee: Guarantee) -> None:
    checkout.must("down")
    process = started(checkout)
    apply_under_way(checkout, process)
    os.kill(checkout.state_details()["pid"], signal.SIGKILL)
    code, stderr = end(process)
    assert code != 0
    assert "error: the embedded AWS ended while Terraform worked on it" in stderr
    assert "Traceback" not in stderr
    mended = "verified in" in checkout.must("up")
    guarantee("interrupted-apply", interruptions=1, not_mended=int(not mended))
    assert mended


def test_make_up_itself_is_killed_in_mid_apply(checkout: Checkout, guarantee: Guarantee) -> None:
    checkout.must("down")
    process = started(checkout)
    apply_under_way(checkout, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    mended = "verified in" in checkout.must("up")
    guarantee("interrupted-apply", interruptions=1, not_mended=int(not mended))
    assert mended
    checkout.must("down")
    assert not list((checkout.folder / "terraform").rglob("*.tfstate"))
