"""What is deployed: small zips, and beside each a bill of materials that tells all that is in it, and nothing else."""

import hashlib
import json
import zipfile
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from scripts import build_lambdas, function_contents, paths
from tests.build.bundles import modules_of
from tests.recording_guarantees import Guarantee


class Built(NamedTuple):
    folder: Path
    functions: dict[str, Any]

    def bill(self, system: str) -> dict[str, Any]:
        bill: dict[str, Any] = json.loads((self.folder / f"{system}.cdx.json").read_text())
        return bill


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("built")
    return Built(folder, build_lambdas.build(target=folder)["functions"])


def test_they_are_small(built: Built) -> None:
    assert {name: entry["size_bytes"] for name, entry in built.functions.items() if entry["size_bytes"] > 30_000} == {}


def test_the_bundles_of_all_apis_begin_alike(built: Built) -> None:
    orders = [modules_of(built.folder / built.functions[system]["zip"]) for system in build_lambdas.systems()]
    alike = {names[0] for names in takewhile(lambda names: len(set(names)) == 1, zip(*orders, strict=False))}
    assert {f"{name.replace('.', '/')}.py" for name in function_contents._IN_FRONT} <= alike


def test_every_bill_is_valid_cyclonedx(built: Built) -> None:
    assert built.functions
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    for system in built.functions:
        text = (built.folder / f"{system}.cdx.json").read_text()
        assert validator.validate_str(text) is None
        assert validator.validate_str(text.replace('"SHA-256"', '"SHA-255"')) is not None, "the check can fail"
        assert str(built.folder) not in text


def test_every_byte_of_a_zip_is_on_its_bill(built: Built, guarantee: Guarantee) -> None:
    for system, entry in built.functions.items():
        bill, content = built.bill(system), (built.folder / entry["zip"]).read_bytes()
        assert digests([bill["metadata"]["component"]]) == {system: hashlib.sha256(content).hexdigest()}
        files = [component for component in bill["components"] if component["type"] == "file"]
        with zipfile.ZipFile(built.folder / entry["zip"]) as archive:
            assert digests(files) == {name: sha256(archive.read(name)) for name in archive.namelist()}
        bundled = {path: sha256(source) for path, source in modules_of(built.folder / entry["zip"]).items()}
        (holding,) = [file for file in files if "components" in file]
        assert digests(holding["components"]) == bundled
        assert bundled.keys() == set(entry["modules"])
        guarantee("supply-chain", zips=1, files_on_bills=len(files) + len(bundled))


def test_a_bill_tells_the_runtime_the_licences_and_what_depends_on_what(built: Built) -> None:
    for system in built.functions:
        bill = built.bill(system)
        parts = bill["components"]
        assert [(part["name"], part["version"]) for part in parts if part["type"] == "platform"] == [
            ("python", function_contents.RUNTIME_PYTHON)
        ]
        assert [part for part in parts if part["type"] == "library"] == [], "no third-party package"
        references = [
            part["bom-ref"] for part in (*parts, *(inner for part in parts for inner in part.get("components", ())))
        ]
        assert len(set(references)) == len(references)
        (dependency,) = bill["dependencies"]
        assert dependency["ref"] == bill["metadata"]["component"]["bom-ref"]
        assert set(dependency["dependsOn"]) == {part["bom-ref"] for part in parts}
        assert bill["metadata"]["component"]["licenses"] == [{"license": {"name": "All rights reserved"}}]
    stated = [*paths.ROOT.glob("LICEN[CS]E*"), *paths.ROOT.glob("COPYING*")]
    assert stated == [], "the bills have to name the licence of this repository: scripts/bill_of_materials.py"


def digests(components: list[dict[str, Any]]) -> dict[str, str]:
    found = {}
    for component in components:
        ((digest),) = [one["content"] for one in component["hashes"] if one["alg"] == "SHA-256"]
        found[component["name"]] = digest
    return found


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
