"""200,000 profiles, killed five times anywhere, and what a run needs of memory."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from scripts import migrate
from scripts.migration.tables import PROFILES
from tests.contract import engines
from tests.glue.deployed import Deployed
from tests.glue.migrating import ENV, Place
from tests.recording_guarantees import Guarantee

PROFILES_COUNT, KILLS = 200_000, 5
MAXIMUM_MEGABYTES = 150
# Far more than it takes on a machine that is busy
RUN_SECONDS = 1800.0
# Counting goes through all records, each time.
COUNT_SECONDS = 1.0
_RUN = """
import sys
from pathlib import Path
from scripts import paths
paths.BUILD = Path(sys.argv.pop(1)); paths.ENVIRONMENTS = paths.BUILD / "environments"
paths.LAMBDA_BUILD = paths.BUILD / "lambdas"
from scripts import migrate
from scripts.console import run
try:
    run(migrate.main)
finally:
    status = Path("/proc/self/status").read_text()
    print("peak", status.partition("VmHWM:")[2].split()[0], file=sys.stderr)
"""


@pytest.fixture(scope="module")
def dynamodb_url() -> Iterator[str]:
    """Of a real engine; dynoxide takes far less CPU time, DynamoDB Local is Amazon's."""
    at_hand = [name for name in ("dynoxide", "dynamodb_local") if not engines.missing(name)]
    if not at_hand:
        pytest.skip(f"{engines.missing('dynoxide')}; {engines.missing('dynamodb_local')}")
    with engines.running(at_hand[0]) as engine:
        yield str(engine.url)


def write_profiles(folder: Path) -> None:
    """Most in one array, some in lines and some in a file each; each 20th has a job and a city."""

    def profile(number: int) -> str:
        facts = {"job": "smith", "location": ["Berlin"], "averagePrice": number % 97 + 0.5} if not number % 20 else {}
        return json.dumps({"id": f"{number:06d}", "name": f"Agent {number}", **facts})

    folder.mkdir()
    with (folder / "array.json").open("w") as file:
        file.write("[" + ",\n".join(map(profile, range(150_000))) + "]")
    with (folder / "lines.jsonl").open("w") as file:
        file.writelines(f"{profile(number)}\n" for number in range(150_000, 199_000))
    for number in range(199_000, PROFILES_COUNT):
        (folder / f"{number}.json").write_text(profile(number))


def done(state: Path) -> int:
    """How many records are read, and how many written: twice the count in the end."""
    if not state.exists():
        return 0
    try:
        with closing(sqlite3.connect(f"file:{state}?mode=ro", uri=True, timeout=30)) as database:
            found, settled = database.execute("SELECT count(*), count(outcome) FROM records").fetchone()
    except sqlite3.OperationalError:  # it is being made
        return 0
    return int(found + settled)


def test_killed_five_times_both_sides_are_equal(
    deployed: Deployed, dynamodb_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, guarantee: Guarantee
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", dynamodb_url)
    place = Place(deployed, monkeypatch)
    source = tmp_path / "json_storage"
    write_profiles(source)
    state = migrate.folder_of(place.folder / ENV, PROFILES, source) / migrate.STATE
    command = [sys.executable, "-c", _RUN, str(place.folder), "--env", ENV, "--from", str(source)]
    seed = random.randrange(10**9)
    print(f"seed {seed}")
    moments = sorted(random.Random(seed).sample(range(1, 2 * PROFILES_COUNT), KILLS))
    peaks, before = [], -1
    for moment in moments:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            deadline = time.monotonic() + RUN_SECONDS
            while done(state) < moment:
                assert process.poll() is None, process.communicate()[0].decode()
                assert time.monotonic() < deadline
                time.sleep(COUNT_SECONDS)
            peaks.append(peak_of(process.pid))
            process.send_signal(signal.SIGKILL)
        assert done(state) >= max(moment, before)  # nothing that was done is done again
        guarantee("migration", kills=1)
        before = done(state)
    last = subprocess.run(command, capture_output=True, text=True, timeout=RUN_SECONDS, env=os.environ)
    assert last.returncode == 0, last.stderr
    peaks.append(int(last.stderr.split("peak ")[1].split()[0]) // 1024)
    manifest = place.manifest(source)
    proof = manifest["proof"]
    assert proof["equal"]
    assert proof["source"] == proof["table"]
    assert proof["table"]["records"] == PROFILES_COUNT
    counts = manifest["counts"]
    # What was written when the kill came, and not noted yet, was found to be there.
    assert counts["written"] + counts["present"] == PROFILES_COUNT
    assert max(peaks) < MAXIMUM_MEGABYTES, peaks
    lost = PROFILES_COUNT - proof["table"]["records"]
    guarantee("migration", records=proof["source"]["records"], lost=lost)
    print(f"killed at {moments}; peaks of {peaks} MB; {counts['present']} were there already")


def peak_of(pid: int) -> int:
    """Megabytes."""
    return int(Path(f"/proc/{pid}/status").read_text().partition("VmHWM:")[2].split()[0]) // 1024


def test_interrupted_it_ends_clean_and_goes_on(
    deployed: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(deployed, monkeypatch)
    source, count = tmp_path / "json_storage", 2000
    source.mkdir()
    (source / "all.json").write_text(json.dumps([{"id": str(number), "name": "N"} for number in range(count)]))
    state = migrate.folder_of(place.folder / ENV, PROFILES, source) / migrate.STATE
    command = [sys.executable, "-c", _RUN, str(place.folder), "--env", ENV, "--from", str(source)]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Where the tests run in the background, a shell has made them ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        deadline = time.monotonic() + RUN_SECONDS
        while done(state) <= count:  # until some are written
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate()
    assert process.returncode == 130, told
    assert "Traceback" not in told
    assert "interrupted" in told.splitlines()
    manifest = place.migrate(source)
    assert manifest["proof"]["equal"]
    assert manifest["written_by_this_run"] < count
    assert manifest["counts"]["written"] == count
