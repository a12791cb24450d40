"""Which systems are rolled back: an object beside the environment's state, for all who plan, apply or verify.

A mark says what callers shall get; the alias follows it. So it is written before the alias moves: whatever is
interrupted, the next rollback or the next apply brings the alias to where the mark says.
"""

import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from scripts import aws
from scripts.console import EXIT_FAILED, CommandError

_FORMAT = 1


class Rollback(NamedTuple):
    """One system's way back. The `from_…` are what was found bad; code is as Lambda's CodeSha256, `since` in UTC."""

    from_version: str
    from_code_sha256: str
    to_version: str
    to_code_sha256: str
    since: str
    by: str


class Marks(NamedTuple):
    """`bad_versions` (by system: version to its code) outlive a rollback, so that no later one ends there by itself.

    `etag` is that of the object which was read, "" when there is none.
    """

    rollbacks: Mapping[str, Rollback] = MappingProxyType({})
    bad_versions: Mapping[str, Mapping[str, str]] = MappingProxyType({})
    etag: str = ""

    def with_rollback(self, system: str, rollback: Rollback, bad: Mapping[str, str]) -> "Marks":
        return self._replace(
            rollbacks={**self.rollbacks, system: rollback}, bad_versions={**self.bad_versions, system: dict(bad)}
        )

    def without_rollback(self, system: str) -> "Marks":
        return self._replace(rollbacks={name: mark for name, mark in self.rollbacks.items() if name != system})

    def pinned_versions(self, manifest: Mapping[str, Any]) -> dict[str, str]:
        """The root variable: only for code that callers were rolled back from; new code goes live."""
        return {
            system: mark.to_version
            for system, mark in sorted(self.rollbacks.items())
            if self.holds(system, manifest.get(system, {}).get("source_code_hash", ""))
        }

    def holds(self, system: str, code_sha256: str) -> bool:
        mark = self.rollbacks.get(system)
        return mark is not None and mark.from_code_sha256 == code_sha256

    def settled(self, outputs: Mapping[str, Any]) -> "Marks":
        """Without what the last apply made untrue: other code was deployed, or the system is gone."""
        applied = outputs.get("verification", {}).get("systems", {})
        left = {
            system: mark
            for system, mark in self.rollbacks.items()
            if system in applied and self.holds(system, applied[system]["code_sha256"])
        }
        return self._replace(
            rollbacks=left, bad_versions={system: bad for system, bad in self.bad_versions.items() if system in applied}
        )

    def notes(self, environment: str, pinned: Mapping[str, str]) -> Iterator[str]:
        """One line a system, for whoever plans, applies or verifies."""
        for system, mark in sorted(self.rollbacks.items()):
            moved = f"from version {mark.from_version} to {mark.to_version} since {mark.since} ({mark.by})"
            if system in pinned:
                yield (
                    f"{system} is rolled back {moved}. New code lifts that; changed settings don't: "
                    f"`make rollback ENV={environment} SYSTEM={system} TO=latest` does."
                )
            else:
                yield f"{system} was rolled back {moved}; its code is another now, which goes live."


def key(state_key: str) -> str:
    return f"{state_key}.rollbacks.json"


def read(bucket: str, state_key: str) -> Marks:
    """The marks; none where nobody ever rolled back, or where there is no bucket yet."""
    try:
        answer = aws.client("s3").get_object(Bucket=bucket, Key=key(state_key))
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return Marks()
        raise CommandError(
            f"what is rolled back can't be read from s3://{bucket}/{key(state_key)}: {error}",
            "Ask for the right to read it; if the bucket is somebody else's, name another one in [state].",
        ) from error
    stated = json.loads(answer["Body"].read())
    if stated.get("format") != _FORMAT:
        raise CommandError(
            f"s3://{bucket}/{key(state_key)} has format {stated.get('format')}, this checkout knows {_FORMAT}.",
            "Use a newer checkout.",
        )
    rollbacks = {system: Rollback(**mark) for system, mark in stated["rollbacks"].items()}
    return Marks(rollbacks, stated["bad_versions"], answer["ETag"])


def write(bucket: str, state_key: str, marks: Marks) -> Marks:
    """Writes the marks unless somebody else has since they were read; returns them as they are in the bucket now."""
    stated = {
        "format": _FORMAT,
        "rollbacks": {system: mark._asdict() for system, mark in sorted(marks.rollbacks.items())},
        "bad_versions": {system: dict(bad) for system, bad in sorted(marks.bad_versions.items()) if bad},
    }
    unchanged = {"IfMatch": marks.etag} if marks.etag else {"IfNoneMatch": "*"}
    try:
        answer = aws.client("s3").put_object(
            Bucket=bucket,
            Key=key(state_key),
            Body=json.dumps(stated, indent=2).encode(),
            ContentType="application/json",
            **unchanged,
        )
    except ClientError as error:
        # 409: somebody else writes at this moment.
        if error.response["ResponseMetadata"]["HTTPStatusCode"] in (409, 412):
            raise CommandError(
                "somebody else rolled back, pruned or applied in this environment at the same time; nothing was done.",
                "Run it again.",
                EXIT_FAILED,
            ) from error
        raise
    return marks._replace(etag=answer["ETag"])
