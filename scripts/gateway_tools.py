"""Makes the schema of the AgentCore Gateway tools from the contract: `python -m scripts.gateway_tools`.

An operation with `x-agentcore-tool` in openapi.yaml is a tool. A gateway understands only `type`, `description`,
`properties`, `required` and `items`, so every other rule of the contract is told in the descriptions; the function
checks it.
"""

import json
from pathlib import Path
from typing import Any

import yaml

from scripts import paths
from scripts.console import CommandError, out, run

SYSTEM = "pet_store"
CONTRACT = paths.LAMBDA_SOURCE / SYSTEM / "openapi.yaml"
TOOLS = paths.LAMBDA_SOURCE / SYSTEM / "gateway_tools.json"
# What a schema may hold; the description itself has to say what `pattern` and `anyOf` mean
_KNOWN = {"type", "description", "pattern", "anyOf", "minimum", "maximum", "minLength", "maxLength", "default"}


def main() -> None:
    """Write gateway_tools.json anew."""
    TOOLS.write_text(text(tools(yaml.safe_load(CONTRACT.read_text()))))
    out.print(f"wrote {TOOLS.relative_to(paths.ROOT)}", markup=False)


def text(made: list[dict[str, Any]]) -> str:
    return json.dumps(made, indent=2, ensure_ascii=False) + "\n"


def read(file: Path = TOOLS) -> list[dict[str, Any]]:
    """The tools as the API takes them inline."""
    made: list[dict[str, Any]] = json.loads(file.read_text())
    return made


def tools(contract: dict[str, Any]) -> list[dict[str, Any]]:
    """Each tool's name, description and input schema, in the order of the contract."""
    return [
        _tool(contract, operation["x-agentcore-tool"], operation, item.get("parameters", []))
        for item in contract["paths"].values()
        for operation in item.values()
        if isinstance(operation, dict) and "x-agentcore-tool" in operation
    ]


def _tool(contract: dict[str, Any], name: str, operation: dict[str, Any], shared: list[Any]) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    required: list[str] = []
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    if body:
        schema = _resolved(contract, body)
        properties |= {field: _property(contract, field, one) for field, one in schema["properties"].items()}
        required += schema.get("required", [])
    for parameter in (_resolved(contract, one) for one in [*shared, *operation.get("parameters", [])]):
        argument = parameter.get("x-agentcore-argument") if parameter["in"] == "header" else parameter["name"]
        if argument is None:
            continue
        properties[argument] = _property(contract, argument, parameter["schema"], parameter["description"])
        if parameter.get("required"):
            required.append(argument)
    schema = {"type": "object", "properties": properties} | ({"required": required} if required else {})
    return {"name": name, "description": _one_line(operation["description"]), "inputSchema": schema}


def _property(contract: dict[str, Any], name: str, schema: dict[str, Any], said: str = "") -> dict[str, Any]:
    """`said` is a parameter's own description; the schema's rules follow it."""
    own = schema.get("description", "") if "$ref" in schema else ""
    schema = _resolved(contract, schema)
    if unknown := set(schema) - _KNOWN:
        raise CommandError(
            f"{name}: a tool's argument can't tell {', '.join(sorted(unknown))}.",
            f"Use {', '.join(sorted(_KNOWN))} in openapi.yaml, or teach scripts/gateway_tools.py to tell it.",
        )
    words = [_one_line(one).rstrip(".") for one in (said, own, schema.get("description", "")) if one]
    if not words:
        raise CommandError(f"{name} has no description.", "Describe it in openapi.yaml for those who call the tool.")
    return {"type": schema["type"], "description": ". ".join([*words, *_rules(schema)]) + "."}


def _rules(schema: dict[str, Any]) -> list[str]:
    rules = []
    if "minimum" in schema and "maximum" in schema:
        rules.append(f"From {schema['minimum']} to {schema['maximum']}")
    elif "minimum" in schema:
        rules.append(f"At least {schema['minimum']}")
    elif "maximum" in schema:
        rules.append(f"At most {schema['maximum']}")
    if schema.get("minLength") and "maxLength" in schema:
        rules.append(f"{schema['minLength']} to {schema['maxLength']} characters")
    elif schema.get("minLength"):
        rules.append("Not empty")
    elif "maxLength" in schema:
        rules.append(f"At most {schema['maxLength']} characters")
    if "default" in schema:
        rules.append(f"{schema['default']} if it is left out")
    return rules


def _resolved(contract: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in value:
        return value
    found: Any = contract
    for part in value["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return found  # type: ignore[no-any-return]


def _one_line(text: str) -> str:
    return " ".join(text.split())


if __name__ == "__main__":
    run(main)
