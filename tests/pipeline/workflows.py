"""The workflows as data."""

from typing import Any

import yaml

from scripts import paths

WORKFLOWS = paths.ROOT / ".github" / "workflows"
ACTIONS = paths.ROOT / ".github" / "actions"


def workflow(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((WORKFLOWS / f"{name}.yml").read_text())
    loaded["on"] = loaded.pop(True)  # YAML 1.1 reads the key `on` as a truth value
    return loaded


def names() -> list[str]:
    return sorted(path.stem for path in WORKFLOWS.iterdir())


def jobs() -> dict[str, dict[str, Any]]:
    """Every job by `workflow/job`."""
    return {f"{name}/{job}": settings for name in names() for job, settings in workflow(name)["jobs"].items()}


def steps() -> list[tuple[str, dict[str, Any]]]:
    """Every step with its `workflow/job`; those of local actions under the action's name."""
    found = [(name, step) for name, job in jobs().items() for step in job.get("steps", [])]
    for action in sorted(ACTIONS.glob("*/action.yml")):
        found += [(action.parent.name, step) for step in yaml.safe_load(action.read_text())["runs"]["steps"]]
    return found
