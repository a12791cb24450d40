"""Terraform's state: its bucket, the state itself, its lock, and whether it is this account's and this region's."""

import json
import shlex
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta

from botocore.exceptions import BotoCoreError, ClientError

from scripts import applied_state, aws, environments, paths, stack
from scripts.applied_state import AppliedState
from scripts.console import CommandError
from scripts.diagnosis import fixes
from scripts.diagnosis.findings import Finding, finding
from scripts.environments import Environment

# No plan or apply of this stack takes that long.
LOCK_MINUTES = 60
_ELSEWHERE = ("PermanentRedirect", "301", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException")


def look(environment: Environment, account_id: str, now: datetime) -> tuple[list[Finding], AppliedState | None]:
    """What is wrong, and the state; None when there is none that tells of this environment here.

    Raises ClientError where the caller may not read it.
    """
    bucket = environments.state_bucket(environment, account_id)
    locks: list[Finding] = []
    try:
        locks = list(_lock(environment, bucket, now))
        state = applied_state.read(bucket, environment.state_key)
    except CommandError as error:
        return [*locks, _unreadable(environment, bucket, error)], None
    except ClientError as error:
        code = error.response["Error"]["Code"]
        headers = error.response["ResponseMetadata"].get("HTTPHeaders", {})
        if code == "NoSuchBucket":
            return [_elsewhere(environment, account_id) or _no_bucket(environment, bucket)], None
        if code in _ELSEWHERE:
            region = headers.get("x-amz-bucket-region", "another region")
            return [_in_another_region(environment, f"the bucket {bucket}", region)], None
        raise
    if not state.verification:
        why = _elsewhere(environment, account_id) or _deleted(environment, bucket) or _not_applied(environment, bucket)
        return [*locks, why], None
    misplaced = list(_misplaced(environment, account_id, state))
    return [*locks, *misplaced], None if misplaced else state


def _no_bucket(environment: Environment, bucket: str) -> Finding:
    return finding(
        "state-bucket-missing",
        bucket,
        f"there is no bucket {bucket}",
        "the account and region were never bootstrapped, or the bucket was deleted: with it, all that is known of the "
        "stack"
        + (
            ". What the embedded AWS holds is lost with it"
            if environment.embedded
            else f"; tables that are there are taken over by `{fixes.make(environment, 'adopt')} TABLE=…` first"
        ),
        "make down && make up"
        if environment.embedded
        else f"{fixes.make(environment, 'bootstrap')} && {fixes.apply(environment)}",
    )


def _deleted(environment: Environment, bucket: str) -> Finding | None:
    """Terraform leaves an empty state behind, and never deletes it; the bucket keeps what somebody deletes."""
    key = environment.state_key
    with suppress(ClientError, BotoCoreError):  # this only helps, too
        listed = aws.client("s3").list_object_versions(Bucket=bucket, Prefix=key)
        for marker in listed.get("DeleteMarkers", []):
            if marker["Key"] == key and marker["IsLatest"]:
                put_back = f"s3api delete-object --bucket {bucket} --key {shlex.quote(key)}"
                return finding(
                    "state-deleted",
                    f"s3://{bucket}/{key}",
                    f"the state was deleted at {marker['LastModified']:%Y-%m-%d %H:%M} UTC",
                    "somebody deleted the object; the bucket keeps its versions, and taking the deletion back brings "
                    "the last one back. An apply without it would want to make everything anew",
                    fixes.aws(environment, f"{put_back} --version-id {marker['VersionId']}"),
                )
    return None


def _not_applied(environment: Environment, bucket: str) -> Finding:
    return finding(
        "not-applied",
        environment.name,
        f"s3://{bucket}/{environment.state_key} holds nothing that was applied",
        "nobody has applied this environment yet, or it was destroyed",
        fixes.apply(environment),
    )


def _unreadable(environment: Environment, bucket: str, error: CommandError) -> Finding:
    key, object_key = shlex.quote(environment.state_key), environment.state_key
    query = shlex.quote(f"Versions[?Key=='{object_key}']|[1].VersionId")
    listing = f"s3api list-object-versions --bucket {bucket} --prefix {key} --query {query} --output text"
    before = f'"{bucket}/{object_key}?versionId=$({fixes.aws(environment, listing)})"'
    return finding(
        "state-unreadable",
        f"s3://{bucket}/{object_key}",
        error.message.removesuffix("."),
        "somebody wrote to the object by hand, or a newer Terraform did; the bucket keeps its older versions, and the "
        "one before this can be put back",
        fixes.aws(environment, f"s3api copy-object --bucket {bucket} --key {key} --copy-source {before}"),
        evidence=str(error.__cause__ or ""),
    )


def _elsewhere(environment: Environment, account_id: str) -> Finding | None:
    """The same environment's state in the bucket of another region: the region in the file is not what it was."""
    if environment.state_bucket:
        return None
    here, start = environments.state_bucket(environment, account_id), f"agent-state-tfstate-{account_id}-"
    with suppress(ClientError, BotoCoreError):  # this only helps: without the right to list, the finding is plainer
        for bucket in aws.client("s3").list_buckets(Prefix=start)["Buckets"]:
            name, region = bucket["Name"], bucket["Name"].removeprefix(start)
            if name == here or not name.startswith(start):
                continue
            with suppress(ClientError, BotoCoreError):
                aws.client("s3", region_name=region).head_object(Bucket=name, Key=environment.state_key)
                return _in_another_region(environment, f"the state of {environment.name!r}", region)
    return None


def _in_another_region(environment: Environment, what: str, region: str) -> Finding:
    return finding(
        "state-in-another-region",
        environment.name,
        f"{what} is in {region}, and the environment's region is {environment.region}",
        f"[aws] region in {environments.shown(environment.file)} was changed, or copied from another environment; "
        "what was applied stays where it is",
        set_region(environment, region),
    )


def set_region(environment: Environment, region: str) -> str:
    file = shlex.quote(environments.shown(environment.file))
    return f"sed -i.before 's/^region *=.*/region = \"{region}\"/' {file} && {fixes.make(environment, 'plan')}"


def _misplaced(environment: Environment, account_id: str, state: AppliedState) -> Iterator[Finding]:
    region = state.verification.get("region", environment.region)
    if region != environment.region:
        yield finding(
            "region-differs",
            environment.name,
            f"the stack was applied in {region}, and the environment's region is {environment.region}",
            f"[aws] region in {environments.shown(environment.file)} was changed after the apply: tables are looked "
            "for where they are not",
            set_region(environment, region),
        )
    accounts = {made["function_arn"].split(":")[4] for made in state.systems.values() if "function_arn" in made}
    if accounts - {account_id}:
        yield finding(
            "wrong-account",
            environment.name,
            f"the stack was applied in account {', '.join(sorted(accounts))}, and these credentials are {account_id}'s",
            "another account's profile or keys are in use; [aws] account_id in the environment's file would refuse "
            "them",
            fixes.sign_in(environment),
        )


def _lock(environment: Environment, bucket: str, now: datetime) -> Iterator[Finding]:
    key = f"{environment.state_key}.tflock"
    try:
        answer = aws.client("s3").get_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
            return
        raise
    try:
        lock = json.loads(answer["Body"].read())
    except ValueError:
        lock = {}
    held = now - answer["LastModified"]
    left = held > timedelta(minutes=LOCK_MINUTES)
    who, operation = lock.get("Who", "somebody"), lock.get("Operation", "an operation").removeprefix("OperationType")
    yield finding(
        "state-lock-left" if left else "state-locked",
        f"s3://{bucket}/{key}",
        f"the state is locked by {who} ({operation}) for {_minutes(held)}",
        "a Terraform that was killed leaves its lock; make sure that this one is gone"
        if left
        else "a plan or an apply is under way; others wait for it",
        stack.force_unlock(environment, paths.TERRAFORM_ROOT, lock.get("ID", "ID"))
        if left
        else f"sleep 60; {fixes.make(environment, 'doctor')}",
    )


def _minutes(held: timedelta) -> str:
    minutes = int(held.total_seconds() // 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
