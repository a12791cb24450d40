"""What a restored table has of its source's settings: what AWS keeps, and what it drops, to be set again.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/pointintimerecovery_restores.html
"""

import json
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from scripts.existing_table import Existing, Settings

_INDEX_KEEPS = ("hash_key", "range_key", "projection_type", "non_key_attributes")
_CAPACITY = ("read_capacity", "write_capacity")


class Dropped(NamedTuple):
    """A setting that the copy lacks: where, which, its value at the source and at the copy, how it is set again."""

    place: str  # "table", or "index <name>"
    setting: str
    source: Any
    copy: Any
    again: str  # "" where it takes more than a command

    @property
    def name(self) -> str:
        return self.setting if self.place == "table" else f"{self.place}: {self.setting}"


def wrong(before: Existing, after: Existing, copy: Existing) -> list[str]:
    """What the copy has not kept that a restore must keep, one text each.

    The source is taken before and after the restore: what somebody changed meanwhile may be either. Capacity that a
    scaler moves is what it was at the time restored to.
    """
    old, new, has = (existing.settings["indexes"] for existing in (before, after, copy))
    return [
        *([] if copy.keys == before.keys else [f"keys are {copy.keys}, of the source {before.keys}"]),
        *_differing("", ("billing_mode", "encryption", *_CAPACITY), before.settings, after.settings, copy.settings),
        *(f"index {name} is missing" for name in sorted((old.keys() & new.keys()) - has.keys())),
        *(f"index {name} is not of the source" for name in sorted(has.keys() - old.keys() - new.keys())),
        *(
            text
            for name in sorted(has.keys() & old.keys())
            for text in _differing(
                f"index {name}: ", (*_INDEX_KEEPS, *_CAPACITY), old[name], new.get(name, old[name]), has[name]
            )
        ),
    ]


def _differing(where: str, names: Iterable[str], before: Settings, after: Settings, copy: Settings) -> Iterator[str]:
    for name in names:
        if not _kept(name, before, after, copy):
            yield f"{where}{name} is {copy[name]!r}, of the source {before[name]!r}"


def _kept(setting: str, before: Settings, after: Settings, copy: Settings) -> bool:
    if setting in _CAPACITY and (before["autoscaling"] or after["autoscaling"]):
        return True
    return copy[setting] in (before[setting], after[setting])


def dropped(source: Existing, copy: Existing, new_name: str) -> list[Dropped]:
    """What a restore under `new_name` must be given again."""
    places = {"table": (source.settings, copy.settings)} | {
        f"index {name}": (index, copy.settings["indexes"][name])
        for name, index in source.settings["indexes"].items()
        if name in copy.settings["indexes"]
    }
    kept = ("billing_mode", "encryption", "indexes", *_INDEX_KEEPS, *_CAPACITY)
    return [
        Dropped(place, setting, value, has.get(setting), _again(place, setting, value, new_name))
        for place, (of_source, has) in places.items()
        for setting, value in of_source.items()
        if setting not in kept and value != has.get(setting)
    ]


def _again(place: str, setting: str, value: Any, table: str) -> str:
    command = (_OF_TABLE if place == "table" else {}).get(setting)
    return command(shlex.quote(table), value) if command and value else ""


def _update(options: str) -> Callable[[str, Any], str]:
    return lambda table, value: f"aws dynamodb update-table --table-name {table} {options.format(value=value)}"


def _tags(table: str, value: Mapping[str, str]) -> str:
    tags = shlex.quote(json.dumps([{"Key": key, "Value": text} for key, text in value.items()], ensure_ascii=False))
    arn = f'"$(aws dynamodb describe-table --table-name {table} --query Table.TableArn --output text)"'
    return f"aws dynamodb tag-resource --resource-arn {arn} --tags {tags}"


_OF_TABLE: Mapping[str, Callable[[str, Any], str]] = {
    "ttl": lambda table, value: (
        f"aws dynamodb update-time-to-live --table-name {table} "
        f"--time-to-live-specification Enabled=true,AttributeName={shlex.quote(value['attribute'])}"
    ),
    "point_in_time_recovery_days": lambda table, value: (
        f"aws dynamodb update-continuous-backups --table-name {table} --point-in-time-recovery-specification "
        f"PointInTimeRecoveryEnabled=true,RecoveryPeriodInDays={value}"
    ),
    "deletion_protection": _update("--deletion-protection-enabled"),
    "stream_view_type": _update("--stream-specification StreamEnabled=true,StreamViewType={value}"),
    "table_class": _update("--table-class {value}"),
    "contributor_insights": lambda table, _value: (
        f"aws dynamodb update-contributor-insights --table-name {table} --contributor-insights-action ENABLE"
    ),
    "tags": _tags,
}
