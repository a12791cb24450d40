"""What lies in a function's zip, for people and programs that ask: a CycloneDX 1.6 document, the same bytes each time.

https://cyclonedx.org/docs/1.6/json/. It tells the zip's files and the modules that are bundled in one of them, each by
SHA-256; third-party packages, where there are any, by name and version; the runtime that they need; and licences.
No time and no path of a machine is in it.
"""

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

SUFFIX = ".cdx.json"
# The repository states no licence; a test tells when it does.
_OWN_LICENCE = [{"license": {"name": "All rights reserved"}}]
_NAMESPACE = uuid.UUID("6c5d1f0e-6a3b-5d5a-9d0b-5b6f1f2c7a11")
_METADATA = ".dist-info/METADATA"


def of_zip(system: str, entry: Mapping[str, Any], modules: Mapping[str, bytes], runtime: str, bundle: str) -> bytes:
    """`entry` as in the manifest; `modules` by path, bundled in the zip's file `bundle`; `runtime` as in "3.13"."""
    root = f"{system}@{entry['sha256']}"
    files = [_file(file["path"], file["sha256"]) for file in entry["files"]]
    for file in files:
        if file["name"] == bundle:
            file["components"] = [
                _file(path, hashlib.sha256(modules[path]).hexdigest(), inside=f"{bundle}/") for path in sorted(modules)
            ]
    python = {
        "type": "platform",
        "bom-ref": f"python@{runtime}",
        "name": "python",
        "version": runtime,
        "description": f"The runtime python{runtime} of AWS Lambda, which is not in the zip",
        "licenses": [{"license": {"id": "PSF-2.0"}}],
    }
    packages = [_package(package) for package in entry["packages"]]
    components = [*files, *packages, python]
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, root)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": root,
                "name": system,
                "version": entry["sha256"][:12],
                "description": f"{entry['zip']}, a function for AWS Lambda",
                "hashes": _hashes(entry["sha256"]),
                "licenses": _OWN_LICENCE,
            }
        },
        "components": components,
        "dependencies": [{"ref": root, "dependsOn": sorted(component["bom-ref"] for component in components)}],
        "compositions": [{"aggregate": "complete", "assemblies": [root]}],
    }
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def packages_in(files: Mapping[str, bytes]) -> list[dict[str, str]]:
    """The third-party packages among a zip's files, by their metadata: name, version, and licence if stated."""
    found = []
    for path in sorted(path for path in files if path.endswith(_METADATA)):
        from email.parser import BytesParser  # hardly any zip has some, and it takes long to load

        stated = BytesParser().parsebytes(files[path], headersonly=True)
        package = {"name": str(stated["Name"]), "version": str(stated["Version"])}
        if expression := stated["License-Expression"]:
            package["licence_expression"] = str(expression)
        elif name := stated["License"]:
            package["licence_name"] = str(name).strip().splitlines()[0]
        found.append(package)
    return found


def _file(path: str, digest: str, inside: str = "") -> dict[str, Any]:
    return {"type": "file", "bom-ref": f"{inside}{path}", "name": path, "hashes": _hashes(digest)}


def _package(package: Mapping[str, str]) -> dict[str, Any]:
    name, version = package["name"].lower().replace("_", "-"), package["version"]
    purl = f"pkg:pypi/{name}@{version}"
    found: dict[str, Any] = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
    if expression := package.get("licence_expression"):
        found["licenses"] = [{"expression": expression}]
    elif licence := package.get("licence_name"):
        found["licenses"] = [{"license": {"name": licence}}]
    return found


def _hashes(digest: str) -> Sequence[Mapping[str, str]]:
    return [{"alg": "SHA-256", "content": digest}]
