"""Canaries in all that a caller sends, and secrets in all that a caller of the commands has: nothing that is kept holds
one of them, neither logs nor metrics, nor state, plan, bundle, report, zips, or a function's environment."""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.contract.systems import operations
from tests.contract.worlds import Life, Person, places
from tests.end_to_end.checkout import SECRETS, Checkout

MARK = b"canary-of-a-caller"
# Terraform's folder of what it downloads: 700 MB of nobody's secrets
NOT_READ = "providers"


def test_no_secret_and_nothing_that_callers_sent_is_kept(running_stack: Checkout, guarantee: Any) -> None:
    requests = list(_send_canaries(running_stack))
    assert {200, 201, 400, 404} <= set(requests)
    assert not [status for status in requests if status >= 500]
    # what else writes: a plan with its bundle, a report, the names that applications need
    for target in ("plan", "report", "env"):
        more = [f"OUTPUT={running_stack.folder / '.build' / 'application.env'}"] if target == "env" else []
        running_stack.must(target, *more, **SECRETS)
    read = 0
    with_secrets, with_canaries = [], []
    for place, content in _kept(running_stack):
        read += 1
        with_canaries += [place] * (MARK in content)
        with_secrets += [f"{place}: {name}" for name, secret in SECRETS.items() if secret.encode() in content]
    guarantee(
        "privacy",
        requests=len(requests),
        places_read=read,
        canaries_in_logs=len(with_canaries),
        secrets_written=len(with_secrets),
    )
    assert with_canaries == []
    assert with_secrets == []
    # and the places are those where something would be
    places_read = {place.partition(" ")[0] for place, _ in _kept(running_stack)}
    assert {"file", "log", "metric", "bucket", "function", "parameter"} <= places_read


def _send_canaries(stack: Checkout) -> Iterator[int]:
    """The statuses of requests to every route, good and bad, each with canaries wherever something is said."""
    mark = MARK.decode()
    for operation in operations():
        life = Life(operation.system, Person(f"{mark}-tenant", f"{mark}-user", trusted=True))
        for place in [("none", ""), *places(operation)]:
            if place[0] == "header" and place[1].startswith("x-"):
                continue  # the person's own are canaries already
            sent = life.request(operation, {place: f"{mark}-{place[1]}"})
            query = "&".join(f"{name}={value}" for name, value in sent.query.items())
            headers = {"authorization": f"Bearer {mark}", "user-agent": mark, "cookie": mark, **sent.headers}
            path = f"{sent.path}?{query}" if query else sent.path
            if not all(letter.isascii() and letter.isprintable() for letter in path):
                continue
            yield stack.call(operation.method, path.replace(" ", "%20"), sent.body, **headers)[0]
    yield stack.call("GET", f"/{mark}/{mark}")[0]


def _kept(stack: Checkout) -> Iterator[tuple[str, bytes]]:
    """All that is kept but the tables, which are for what callers send: where, and what."""
    yield from _files(stack.folder / ".build")
    logs = stack.client("logs")
    for group in logs.get_paginator("describe_log_groups").paginate().search("logGroups[].logGroupName"):
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group)
        yield f"log {group}", "\n".join(event["message"] for page in pages for event in page["events"]).encode()
    for metric in stack.client("cloudwatch").get_paginator("list_metrics").paginate().search("Metrics[]"):
        yield f"metric {metric['MetricName']}", json.dumps(metric).encode()
    s3 = stack.client("s3")
    for bucket in [one["Name"] for one in s3.list_buckets()["Buckets"]]:
        versions = s3.get_paginator("list_object_versions").paginate(Bucket=bucket)
        for version in versions.search("Versions[]"):
            found = s3.get_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])
            yield f"bucket {bucket}/{version['Key']}", found["Body"].read()
    for function in stack.client("lambda").get_paginator("list_functions").paginate().search("Functions[]"):
        yield f"function {function['FunctionName']}", json.dumps(function, default=str).encode()
    for parameter in stack.client("ssm").get_paginator("describe_parameters").paginate().search("Parameters[].Name"):
        yield (
            f"parameter {parameter}",
            json.dumps(stack.client("ssm").get_parameter(Name=parameter), default=str).encode(),
        )


def _files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for file in sorted(folder.rglob("*")):
        name = str(file.relative_to(folder))
        if file.is_symlink() or not file.is_file() or NOT_READ in file.parts:
            continue
        yield f"file {name}", name.encode() + file.read_bytes()
        yield from _zipped(f"file {name}", file.read_bytes())


def _zipped(place: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    """What lies in an archive, and in the archives within: a bundle holds a plan, and that is one."""
    if not zipfile.is_zipfile(io.BytesIO(content)):
        return
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for name in archive.namelist():
            yield f"{place}/{name}", archive.read(name)
            yield from _zipped(f"{place}/{name}", archive.read(name))
