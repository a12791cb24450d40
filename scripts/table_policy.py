"""What every table should be, and how one that is there compares: with this policy, and with what is declared."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from scripts import declared_tables

MEETS, SHORT, WRONG, NOTHING = "meets", "short", "wrong", "nothing"
# DynamoDB's longest window, at the price of any other.
RECOVERY_DAYS = 35

POLICY = {
    "as declared": "every setting is as Terraform declares it, and table and indexes are ACTIVE",
    "recovery": f"point-in-time recovery reaches back {RECOVERY_DAYS} days: a longer window costs nothing",
    "deletion protection": "is on: no command deletes the table by accident",
    "encryption": "at rest, with the key that is declared: AWS's own, or one of the account",
    "expiry": "items expire (TTL) where an attribute for it is declared",
    "capacity": "on demand, or provisioned with autoscaling: a fixed number throttles when the load grows",
    "alarms": "at least one alarm watches the table",
}


class Cell(NamedTuple):
    """One setting of one table: a verdict, what is there, and what to know about it."""

    verdict: str
    text: str
    notes: tuple[str, ...] = ()


def compare(declared: Mapping[str, Any], actual: Mapping[str, Any], alarms: int | None) -> dict[str, Cell]:
    """Each column of POLICY. Both as the output `verification` has tables; `alarms` is None when nobody could tell."""
    differing = declared_tables.differences(dict(declared), dict(actual))
    return {
        "as declared": Cell(WRONG, "differs", tuple(differing)) if differing else Cell(MEETS, "yes"),
        "recovery": _recovery(actual["point_in_time_recovery_days"]),
        "deletion protection": Cell(MEETS, "on") if actual["deletion_protection"] else Cell(SHORT, "off"),
        "encryption": _encryption(declared, actual),
        "expiry": _expiry(declared, actual),
        "capacity": _capacity(declared, actual),
        "alarms": Cell(NOTHING, "unknown") if alarms is None else Cell(MEETS if alarms else SHORT, str(alarms)),
    }


def unreadable(reason: str) -> dict[str, Cell]:
    """A table of which nothing can be told."""
    return {column: Cell(WRONG, reason) if column == "as declared" else Cell(NOTHING, "unknown") for column in POLICY}


def verdict(cells: Iterable[Cell]) -> str:
    """The worst of them."""
    found = {cell.verdict for cell in cells}
    return next((one for one in (WRONG, SHORT) if one in found), MEETS)


def _recovery(days: int) -> Cell:
    return Cell(MEETS if days >= RECOVERY_DAYS else SHORT, f"{days}\N{NO-BREAK SPACE}days" if days else "off")


def _encryption(declared: Mapping[str, Any], actual: Mapping[str, Any]) -> Cell:
    kind = str(actual.get("encryption", "a key"))
    text = {
        "AWS_OWNED": "AWS's own key",
        "AWS_MANAGED": "key managed by AWS",
        "CUSTOMER_MANAGED": "key of the account",
    }
    same = kind == declared.get("encryption", kind) or "encryption" not in actual
    return Cell(MEETS if same else WRONG, text.get(kind, kind))


def _expiry(declared: Mapping[str, Any], actual: Mapping[str, Any]) -> Cell:
    attribute, wanted = actual["ttl_attribute"], declared["ttl_attribute"]
    if attribute == wanted:
        return Cell(MEETS, f"by {attribute}") if attribute else Cell(NOTHING, "none")
    return Cell(WRONG, f"by {attribute}" if attribute else "off")


def _capacity(declared: Mapping[str, Any], actual: Mapping[str, Any]) -> Cell:
    if actual["billing_mode"] == "PAY_PER_REQUEST":
        return Cell(MEETS, "on demand")
    units = f"{actual['read_capacity']} read, {actual['write_capacity']} write"
    # Terraform declares no number where a scaler moves it.
    fixed = [kind for kind in ("read", "write") if declared[f"{kind}_capacity"] is not None]
    if fixed == ["read", "write"]:
        return Cell(SHORT, f"{units}, fixed")
    return Cell(SHORT, f"{units}, {fixed[0]} fixed") if fixed else Cell(MEETS, f"{units}, scaled")
