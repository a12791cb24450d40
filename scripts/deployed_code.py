"""Finds and puts back function code that somebody replaced outside Terraform.

The provider uploads a zip when the hash in its state changes; it does not see that Lambda holds other code. It would
even publish that code with the next change of a setting.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from scripts import aws, paths
from scripts.rollback_marks import Marks


def replaced(outputs: Mapping[str, Any], built: Mapping[str, Any], marks: Marks) -> dict[str, Path]:
    """Functions whose code is not what Terraform deployed, with the zip to put back; not one that is updated anyway.

    `built`: the manifest's functions. Callers of a system that is rolled back get older code; that is known.
    """
    functions = aws.client("lambda")
    found = {}
    for system, declared in outputs.get("verification", {}).get("systems", {}).items():
        if built.get(system, {}).get("source_code_hash") != declared["code_sha256"]:
            continue
        name = declared["function_name"]
        own = {declared["code_sha256"]}
        if marks.holds(system, declared["code_sha256"]):
            rolled_back_to = {marks.rollbacks[system].to_code_sha256}
        else:
            rolled_back_to = set()
        for qualifier, expected in (("$LATEST", own), (declared["alias_name"], own | rolled_back_to)):
            try:
                deployed = functions.get_function_configuration(FunctionName=name, Qualifier=qualifier)
            except ClientError as error:
                if error.response["Error"]["Code"] == "ResourceNotFoundException":
                    break  # Terraform makes it anew
                raise
            if deployed["CodeSha256"] not in expected:
                found[name] = paths.LAMBDA_BUILD / built[system]["zip"]
    return found


def live_versions(outputs: Mapping[str, Any]) -> dict[str, str]:
    """The version that each system's alias points to now; systems without a function there are left out."""
    functions = aws.client("lambda")
    found = {}
    for system, declared in outputs.get("verification", {}).get("systems", {}).items():
        try:
            alias = functions.get_alias(FunctionName=declared["function_name"], Name=declared["alias_name"])
        except functions.exceptions.ResourceNotFoundException:
            continue
        found[system] = str(alias["FunctionVersion"])
    return found


def put_back(found: Mapping[str, Path]) -> list[str]:
    """Uploads and publishes the right code; the next plan moves the alias to it. Returns the functions' names."""
    functions = aws.client("lambda")
    for name, zip_file in found.items():
        functions.update_function_code(FunctionName=name, ZipFile=zip_file.read_bytes(), Publish=True)
        functions.get_waiter("function_updated_v2").wait(FunctionName=name)
    return sorted(found)
