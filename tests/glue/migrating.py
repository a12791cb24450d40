"""An environment whose profiles are to be migrated, on the embedded AWS, or with its tables in a real engine."""

import json
import os
import uuid
from pathlib import Path
from typing import Any

import boto3
import pytest

from agent_profiles.matching import Search
from agent_profiles.profiles import ProfileStore
from common.dynamodb import DynamoDB
from common.dynamodb_client import DynamoDBClient
from scripts import export, migrate
from scripts.console import CommandError
from scripts.migration.tables import PROFILES
from tests.glue.deployed import BUCKET, KEY, Deployed

ENV = "staging"
PUTS = {"PutItem", "TransactWriteItems", "BatchWriteItem", "UpdateItem"}
_OPTIONS = {"table": PROFILES, "form": "", "workers": 4, "restart": False, "json_output": False}


class Place:
    """Tables as the stack makes them, and the commands in this process. `calls` are operations of their clients."""

    def __init__(self, deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = deployed.folder
        self.dynamodb = boto3.client("dynamodb")
        mark = uuid.uuid4().hex[:8]
        self.profiles, self.match = f"profiles-{mark}", f"match-{mark}"
        self.make(self.profiles, {"id": "S"}, {"job-index": "job", "location-index": "location_city"})
        self.make(self.match, {"entry": "S", "position": "S"})
        tables = {"profiles": {"name": self.profiles}, "match": {"name": self.match}}
        state = {
            "version": 4,
            "outputs": {"verification": {"value": {"systems": {"agent_profiles": {"tables": tables}}}}},
        }
        deployed.s3.put_object(Bucket=BUCKET, Key=KEY, Body=json.dumps(state).encode())
        deployed.build("none")
        self.calls: list[str] = []
        real = DynamoDBClient.call

        def call(client: DynamoDBClient, operation: str, payload: Any) -> Any:
            self.calls.append(operation)
            return real(client, operation, payload)

        monkeypatch.setattr(DynamoDBClient, "call", call)

    def make(self, name: str, key: dict[str, str], indexes: dict[str, str] | None = None) -> str:
        types = key | dict.fromkeys((indexes or {}).values(), "S")
        schema = [{"AttributeName": each, "KeyType": kind} for each, kind in zip(key, ("HASH", "RANGE"), strict=False)]
        made = [
            {
                "IndexName": index,
                "KeySchema": [{"AttributeName": each, "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
            for index, each in (indexes or {}).items()
        ]
        self.dynamodb.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": each, "AttributeType": kind} for each, kind in types.items()],
            KeySchema=schema,
            **({"GlobalSecondaryIndexes": made} if made else {}),
        )
        return name

    @property
    def writes(self) -> int:
        return sum(call in PUTS for call in self.calls)

    def migrate(self, source: Path, **options: Any) -> dict[str, Any]:
        """The manifest of a migration that passed."""
        migrate.main(env=ENV, source=str(source), **{"quarantine": None, "dry_run": False, **_OPTIONS, **options})
        return self.manifest(source, **options)

    def refused(self, source: Path, **options: Any) -> tuple[dict[str, Any], CommandError]:
        """The manifest of one that did not, and what was said."""
        with pytest.raises(CommandError) as error:
            self.migrate(source, **options)
        return self.manifest(source, **options), error.value

    def manifest(self, source: Path, **options: Any) -> dict[str, Any]:
        folder = migrate.folder_of(self.folder / ENV, options.get("table", PROFILES), source)
        manifest: dict[str, Any] = json.loads((folder / migrate.MANIFEST).read_text())
        return manifest

    def export(self, to: Path, **options: Any) -> dict[str, Any]:
        export.main(env=ENV, to=str(to), **{**_OPTIONS, **options})
        found: dict[str, Any] = json.loads((to / "export.manifest").read_text())
        return found

    @property
    def database(self) -> DynamoDB:
        return DynamoDB(DynamoDBClient(os.environ))

    @property
    def store(self) -> ProfileStore:
        database = self.database
        return ProfileStore(
            database,
            database.table(self.profiles, {"id": "S"}),
            database.table(self.match, {"entry": "S", "position": "S"}),
        )

    def api_stores(self, *profiles: dict[str, Any]) -> None:
        """As `POST /store` does."""
        for profile in profiles:
            self.store.store(profile, lambda _version: None, lambda _profile, _is_new: [])

    def matches(self, words: dict[str, str] | None = None, **wanted: Any) -> list[str]:
        """Ids that `POST /match` finds by these facts."""
        database = self.database
        indexes = {"job": "job-index", "location": "location-index"}
        keys = {"job-index": {"job": "S"}, "location-index": {"location_city": "S"}}
        search = Search(
            database.table(self.profiles, {"id": "S"}, keys),
            database.table(self.match, {"entry": "S", "position": "S"}),
            indexes,
            wanted,
            {"job": wanted.get("job", ""), "location": wanted.get("city", ""), **(words or {})},
        )
        return [match["profile"]["id"] for match in search.page(100, None, float("inf"))[0]]

    def items(self, table: str) -> list[dict[str, Any]]:
        pages = self.dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
        return [item for page in pages for item in page["Items"]]

    def item(self, profile_id: str) -> dict[str, Any]:
        """As the function reads it."""
        found = self.store.get(profile_id)
        assert found is not None, profile_id
        return found


def write(folder: Path, **files: Any) -> Path:
    """JSON files by their names, `__` for a folder's slash; texts as they are."""
    for name, content in files.items():
        target = folder / (name.replace("__", "/") + ("" if "." in name else ".json"))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content if isinstance(content, str) else json.dumps(content))
    return folder
