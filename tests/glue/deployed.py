"""A function with versions on an embedded AWS, in an environment that the glue opens as any other."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from scripts import paths, rollback_marks
from scripts.local_aws import control
from tests.local_aws.conftest import REGION, Aws, Function, zip_of

BUCKET, KEY = "states", "staging/terraform.tfstate"
STAGING = f'[aws]\nregion = "{REGION}"\n[state]\nbucket = "{BUCKET}"\n'
SYSTEM = "agent_registry"


class Deployed:
    """System `agent_registry`; the version that was published last is Terraform's, and live."""

    def __init__(self, aws: Aws, folder: Path) -> None:
        self.aws, self.folder = aws, folder
        self.functions, self.s3 = aws.client("lambda"), aws.client("s3")

    @cached_property
    def function(self) -> Function:
        return self.aws.deploy(source(0))

    @property
    def name(self) -> str:
        return self.function.name

    def publish(self, *codes: str, **configuration: Any) -> str:
        """Publishes a version of each code; returns the last one's number."""
        version = ""
        for code in codes:
            if configuration:
                self.functions.update_function_configuration(FunctionName=self.name, **configuration)
            self.functions.update_function_code(FunctionName=self.name, ZipFile=zip_of(code))
            version = self.functions.publish_version(FunctionName=self.name)["Version"]
        return version

    def code(self, version: str) -> str:
        found = self.functions.get_function_configuration(FunctionName=self.name, Qualifier=version)
        return str(found["CodeSha256"])

    def apply(self, version: str) -> None:
        """As Terraform leaves alias, state and build."""
        try:
            self.functions.create_alias(FunctionName=self.name, Name="live", FunctionVersion=version)
        except self.functions.exceptions.ClientError:
            self.functions.update_alias(FunctionName=self.name, Name="live", FunctionVersion=version)
        state = {"version": 4, "outputs": {"verification": {"value": self.outputs(version)["verification"]}}}
        self.s3.put_object(Bucket=BUCKET, Key=KEY, Body=json.dumps(state).encode())
        self.build(self.code(version))

    def outputs(self, version: str) -> dict[str, Any]:
        system = {
            "function_name": self.name,
            "alias_name": "live",
            "function_version": version,
            "code_sha256": self.code(version),
        }
        return {"verification": {"systems": {SYSTEM: system}}}

    def build(self, code_sha256: str) -> None:
        manifest = {"functions": {SYSTEM: {"source_code_hash": code_sha256, "zip": f"{SYSTEM}.zip"}}}
        (self.folder / "lambdas" / "manifest.json").write_text(json.dumps(manifest))

    @property
    def live(self) -> str:
        return str(self.functions.get_alias(FunctionName=self.name, Name="live")["FunctionVersion"])

    @property
    def versions(self) -> list[str]:
        listed = self.functions.list_versions_by_function(FunctionName=self.name)["Versions"]
        return [version["Version"] for version in listed if version["Version"] != "$LATEST"]

    @property
    def marks(self) -> rollback_marks.Marks:
        return rollback_marks.read(BUCKET, KEY)

    @property
    def rendered(self) -> str:
        return (self.folder / "staging" / "terraform.tfvars").read_text()


def source(number: int) -> str:
    return f"def handler(event, context): return {number}"


@contextmanager
def opened(aws: Aws, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    for name in ("environments", "lambdas"):
        (folder / name).mkdir()
    (folder / "environments" / "staging.toml").write_text(STAGING)
    monkeypatch.setattr(paths, "ENVIRONMENTS", folder / "environments")
    monkeypatch.setattr(paths, "BUILD", folder)
    monkeypatch.setattr(paths, "LAMBDA_BUILD", folder / "lambdas")
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in control.client_environment(aws.running, region=REGION).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    place = {"LocationConstraint": REGION}
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=place)
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    try:
        yield Deployed(aws, folder)
    finally:
        for stored in s3.list_object_versions(Bucket=BUCKET).get("Versions", []):
            s3.delete_object(Bucket=BUCKET, Key=stored["Key"], VersionId=stored["VersionId"])
        s3.delete_bucket(Bucket=BUCKET)
