"""The applied stack that the checks look at."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from scripts.applied_state import AppliedState
from scripts.environments import Environment
from scripts.rollback_marks import Marks


class Examined(NamedTuple):
    """`built`: the functions of this checkout's manifest. Logs and metrics are of the time `since` before `now`."""

    environment: Environment
    state: AppliedState
    marks: Marks
    built: Mapping[str, Any]
    now: datetime
    since: timedelta
    only: str = ""  # a system, where only one is looked at

    @property
    def systems(self) -> dict[str, dict[str, Any]]:
        return {name: made for name, made in self.state.systems.items() if self.only in ("", name)}

    @property
    def began(self) -> datetime:
        return self.now - self.since

    @property
    def region(self) -> str:
        return self.environment.region

    def declared_tables(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Each table once, with the systems that use it, as `a, b`."""
        users: dict[str, list[str]] = {}
        declared: dict[str, dict[str, Any]] = {}
        for system, made in self.systems.items():
            for table in made["tables"].values():
                users.setdefault(table["name"], []).append(system)
                declared[table["name"]] = table
        for name, table in declared.items():
            yield ", ".join(users[name]), table

    def function(self, system: str) -> dict[str, Any]:
        """The function's attributes in the state; empty where it has none."""
        return self._first("aws_lambda_function", function_name=self.state.systems[system]["function_name"])

    def alias(self, system: str) -> dict[str, Any]:
        made = self.state.systems[system]
        return self._first("aws_lambda_alias", function_name=made["function_name"], name=made["alias_name"])

    def _first(self, resource_type: str, **attributes: str) -> dict[str, Any]:
        wanted = attributes.items()
        return next((each for each in self.state.of(resource_type) if wanted <= _texts(each).items()), {})


def _texts(attributes: Mapping[str, Any]) -> dict[str, str]:
    return {name: value for name, value in attributes.items() if isinstance(value, str)}
