"""Reads a plan as `terraform show -json` tells it, and finds what would cost data or open a door.

Every finding has a rule and an address; `ALLOW="rule:address"` lets that one through, and so does a pattern in the
environment's `[guard] allow`. Terraform's own "will be destroyed" is easily overlooked in a long plan, and much of what
hurts is no destruction to Terraform at all: an index that is rebuilt, items that begin to expire, a door that opens.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from scripts import policy_growth
from scripts.console import EXIT_FAILED, CommandError, out

RULES = (
    "replace-table",
    "destroy-table",
    "destroy-replica",
    "rebuild-index",
    "drop-index",
    "key-type",
    "ttl-attribute",
    "recovery",
    "deletion-protection",
    "encryption-key",
    "drop-stream",
    "import-table",
    "wildcard",
    "policy-unknown",
    "public-route",
    "destroy-key",
    "destroy-backup",
    "destroy-state-bucket",
    "destroy-user-pool",
)
_TABLE, _REPLICA = "aws_dynamodb_table", "aws_dynamodb_table_replica"
_KEYS = ("aws_kms_key", "aws_kms_external_key", "aws_kms_replica_key", "aws_kms_replica_external_key")
_DOORS = {
    "aws_apigatewayv2_route": "authorization_type",
    "aws_api_gateway_method": "authorization",
    "aws_lambda_function_url": "authorization_type",
}
_POLICIES = ("policy", "assume_role_policy", "inline_policy")
# In their documents "*" is the thing itself.
_POLICIES_OF_ITSELF = (*_KEYS, "aws_kms_key_policy", "aws_backup_vault_policy", "aws_secretsmanager_secret_policy")
_ENDPOINTS = ("aws_vpc_endpoint", "aws_vpc_endpoint_policy")
_WIDE_MANAGED = re.compile(
    r"arn:[^:]+:iam::aws:policy/(?:.*/)?(?:AdministratorAccess.*|PowerUserAccess|IAMFullAccess|.*FullAccess.*)"
)
_READERS = {"aws_lambda_event_source_mapping": "event_source_arn", "aws_pipes_pipe": "source"}
_WITHOUT_PATHS = {
    "replace_because_tainted": "an apply that failed halfway",
    "replace_by_request": "-replace",
    "replace_by_triggers": "replace_triggered_by",
}
_DEFAULT_RECOVERY_DAYS = 35
_TABLE_IS_LOST = (
    "DynamoDB deletes all items, the indexes and the stream at once. Where recovery is on it keeps one last backup, "
    "for 35 days; otherwise nothing brings the items back."
)
_REPLICA_IS_LOST = (
    "DynamoDB deletes the items in that region, and whatever reads or writes there fails. The other regions stay."
)
_BEGINNING = re.compile(rf"(?:^|\s+)(?=(?:{'|'.join(RULES)}):)")


class Finding(NamedTuple):
    """`change`: what the plan does. `effect`: what AWS then does to the data, or to who may get at it."""

    rule: str
    address: str
    change: str
    effect: str

    @property
    def name(self) -> str:
        """What ALLOW takes."""
        return f"{self.rule}:{self.address}"


class Review(NamedTuple):
    """`let_through`: each with what allowed it."""

    refused: list[Finding]
    let_through: list[tuple[Finding, str]]

    def facts(self) -> dict[str, Any]:
        return {
            "refused": [finding._asdict() for finding in self.refused],
            "let_through": [{**finding._asdict(), "allowed_by": by} for finding, by in self.let_through],
        }


class Change(NamedTuple):
    """One resource's change. `before` and `after` are empty where it is created or destroyed."""

    address: str
    type: str
    actions: frozenset[str]
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    unknown: Mapping[str, Any]
    cause: str
    configured: frozenset[str]

    @property
    def replaced(self) -> bool:
        return self.actions == {"create", "delete"}

    @property
    def gone(self) -> bool:
        return "delete" in self.actions

    def finding(self, rule: str, change: str, effect: str, part: str = "") -> Finding:
        return Finding(rule, f"{self.address}/{part}" if part else self.address, change, effect)


def review(planned: Mapping[str, Any], allow: str, standing: Sequence[str] = ()) -> Review:
    """The plan's findings, sorted by what is allowed. Raises CommandError for an ALLOW that allows nothing."""
    return judge(findings(planned), allow, standing)


def judge(found: Sequence[Finding], allow: str, standing: Sequence[str] = ()) -> Review:
    """`allow`: names of findings, with blanks between; `standing`: patterns of the environment's file."""
    # Addresses hold blanks (`this["GET /agents"]`): a name begins where a rule's does.
    asked = [text.strip() for text in _BEGINNING.split(allow) if text.strip()]
    require_rules(asked, "ALLOW=")
    names = sorted({finding.name for finding in found})
    if idle := [text for text in asked if text not in names]:
        there = f"The guard's findings are: {', '.join(names)}." if names else "The guard found nothing."
        raise CommandError(f"ALLOW={idle[0]} allows nothing in this plan.", there)
    refused: list[Finding] = []
    let_through: list[tuple[Finding, str]] = []
    for finding in found:
        pattern = next((each for each in standing if _matches(finding.name, each)), None)
        if finding.name in asked:
            let_through.append((finding, "ALLOW"))
        elif pattern:
            let_through.append((finding, f"[guard] allow {pattern}"))
        else:
            refused.append(finding)
    return Review(refused, let_through)


def require_rules(texts: Sequence[str], where: str) -> None:
    """Raises CommandError for a name, or a pattern, of no rule."""
    for text in texts:
        rule, _, address = text.partition(":")
        if not (address and any(fnmatchcase(each, rule) for each in RULES)):
            raise CommandError(
                f"{where}{text} names no rule of the guard.", f"Write rule:address; the rules are {', '.join(RULES)}."
            )


def require_allowed(review: Review, environment: str) -> None:
    """Raises CommandError when the guard refuses the plan."""
    if review.refused:
        names = " ".join(finding.name for finding in review.refused[:2])
        more = " …" if len(review.refused) > 2 else ""
        count = f"{len(review.refused)} change{'s' if len(review.refused) > 1 else ''}"
        raise CommandError(
            f"the guard refuses {count} of this plan; nothing is sealed or applied.",
            f"Where that is really meant: make plan ENV={environment} ALLOW='{names}{more}'",
            EXIT_FAILED,
        )


def show(review: Review) -> None:
    """The findings for whoever plans or applies. What thirty routes have in common is said once."""
    told: set[str] = set()
    for finding in review.refused:
        out.print(f"\nrefused: {finding.rule}: {finding.change} ({finding.address}).", markup=False)
        if finding.effect not in told:
            out.print(f"  {finding.effect}", markup=False)
        out.print(f"  To let it through: ALLOW='{finding.name}'", markup=False)
        told.add(finding.effect)
    for finding, by in review.let_through:
        out.print(f"\nlet through by {by}: {finding.rule}: {finding.change} ({finding.address}).", markup=False)
        if finding.effect not in told:
            out.print(f"  {finding.effect}", markup=False)
        told.add(finding.effect)


def findings(planned: Mapping[str, Any]) -> list[Finding]:
    """What the guard finds in a plan, by address."""
    changes = list(_changes(planned))
    made = {str(each.after.get("name")): each.address for each in changes if each.type == _TABLE and not each.before}
    readers = _readers(planned)
    found: list[Finding] = []
    for change in changes:
        if change.type in (_TABLE, _REPLICA):
            found += _tables(change, made, readers)
        found += _gone(change)
        found += _doors(change)
        found += _policies(change)
    return sorted(set(found), key=lambda finding: (finding.address, RULES.index(finding.rule)))


# --- tables --------------------------------------------------------------------------------------------------------


def _tables(change: Change, made: Mapping[str, str], readers: Mapping[str, list[str]]) -> Iterator[Finding]:
    kind = "table" if change.type == _TABLE else "replica"
    name = str(change.before.get("name") or change.before.get("global_table_arn") or change.address)
    if change.replaced:
        yield from _replaced(change, kind, name)
    elif change.gone:
        again = f"; {made[name]} makes an empty one of that name (a `moved` block keeps it)" if name in made else ""
        yield change.finding(
            f"destroy-{kind}",
            f"{kind} {name} is destroyed{again}",
            _TABLE_IS_LOST if kind == "table" else _REPLICA_IS_LOST,
        )
    elif change.before and change.after:
        yield from _unreadable(change)
        yield from _recovery(change, name)
        yield from _deletion_protection(change, name)
        if kind == "table":
            yield from _replicas(change, name)
            yield from _indexes(change)
            yield from _key_types(change)
            yield from _ttl(change)
            yield from _encryption(change, name)
            yield from _stream(change, readers)


def _replaced(change: Change, kind: str, name: str) -> Iterator[Finding]:
    if kind == "replica":
        yield change.finding(
            "destroy-replica",
            f"the replica is destroyed and made anew because of {change.cause}",
            "DynamoDB deletes the items in that region and copies them anew; until then, calls there fail.",
        )
        return
    if change.after.get("import_table") and not change.before.get("import_table"):
        yield change.finding(
            "import-table",
            f"an import from S3 is added to table {name}, which exists",
            "DynamoDB imports into new tables only: Terraform deletes this one with all items first, and what was "
            "written since the export is gone. Import into a table of another name.",
        )
        if change.cause == "import_table":
            return
    yield change.finding(
        "replace-table",
        f"table {name} is destroyed and made anew because of {change.cause}",
        "DynamoDB deletes the table with all items and makes an empty one; meanwhile whatever reads or writes fails.",
    )


def _unreadable(change: Change) -> Iterator[Finding]:
    """What is known only after the apply can't be compared."""
    for setting, rule in {
        "global_secondary_index": "rebuild-index",
        "ttl": "ttl-attribute",
        "point_in_time_recovery": "recovery",
        "deletion_protection_enabled": "deletion-protection",
        "attribute": "key-type",
    }.items():
        if change.unknown.get(setting) is True and setting in change.configured:
            yield change.finding(
                rule,
                f"{setting} will be known only while it is applied",
                "Nobody can review what DynamoDB then does to the data. Apply what it waits for first.",
            )


def _replicas(change: Change, name: str) -> Iterator[Finding]:
    if change.unknown.get("replica") is True:
        return
    regions = {replica.get("region_name") for replica in change.after.get("replica") or []}
    for replica in change.before.get("replica") or []:
        if replica["region_name"] not in regions:
            yield change.finding(
                "destroy-replica",
                f"the replica of table {name} in {replica['region_name']} is destroyed",
                _REPLICA_IS_LOST,
                replica["region_name"],
            )


def _indexes(change: Change) -> Iterator[Finding]:
    if change.unknown.get("global_secondary_index") is True:
        return
    after = {index["name"]: index for index in change.after.get("global_secondary_index") or []}
    for before in change.before.get("global_secondary_index") or []:
        name = before["name"]
        if name not in after:
            yield change.finding(
                "drop-index",
                f"index {name} is dropped",
                "Every query of it fails at once; the items stay. `make migrate-index` moves its readers first.",
                name,
            )
            continue
        differing = [
            setting
            for setting in ("hash_key", "range_key", "projection_type", "non_key_attributes")
            if _plain(before.get(setting)) != _plain(after[name].get(setting))
        ]
        if differing:
            yield change.finding(
                "rebuild-index",
                f"index {name} gets another {', '.join(differing)}",
                "DynamoDB can't change an index: it is deleted and made anew, and queries of it fail until it is "
                "filled again, hours for a large table. `make migrate-index` does it without a gap.",
                name,
            )


def _key_types(change: Change) -> Iterator[Finding]:
    after = {attribute.get("name"): attribute.get("type") for attribute in change.after.get("attribute") or []}
    for before in change.before.get("attribute") or []:
        name, was = before["name"], before["type"]
        if after.get(name, was) != was:
            yield change.finding(
                "key-type",
                f"key attribute {name} changes its type from {was} to {after[name]}",
                "DynamoDB keeps a key's type for ever and refuses the update, halfway through the apply. An index can "
                "be made on a new attribute instead; a table's own key takes a new table, and its items copied.",
                name,
            )


def _ttl(change: Change) -> Iterator[Finding]:
    if change.unknown.get("ttl") is True:
        return
    was, will = (_ttl_attribute(values) for values in (change.before, change.after))
    if was == will:
        return
    if was is None:
        what = f"items begin to expire by attribute {will}"
        effect = f"DynamoDB deletes, within days and for good, every item whose {will} lies in the past."
    elif will is None:
        what = f"items no longer expire by attribute {was}"
        effect = "Whatever should have expired stays: readers see it, and storage grows."
    else:
        what = f"items expire by attribute {will} instead of {was}"
        effect = (
            f"DynamoDB stops deleting by {was}, and deletes for good every item whose {will} already lies in the past. "
            "It takes one such change an hour."
        )
    yield change.finding("ttl-attribute", what, effect)


def _ttl_attribute(values: Mapping[str, Any]) -> str | None:
    ttl = _block(values, "ttl")
    return str(ttl.get("attribute_name") or "one that is yet unknown") if ttl.get("enabled") else None


def _recovery(change: Change, name: str) -> Iterator[Finding]:
    if change.unknown.get("point_in_time_recovery") is True:
        return
    was, will = (_recovery_days(values) for values in (change.before, change.after))
    if will == 0 < was:
        what = f"point-in-time recovery of {name} is switched off"
        effect = (
            "DynamoDB drops the whole history at once: no earlier moment can be restored, and switching it on again "
            "brings none back."
        )
    elif will < was:
        what = f"the recovery window of {name} shrinks from {was} to {will} days"
        effect = f"DynamoDB drops every restore point older than {will} days at once, for good."
    else:
        return
    yield change.finding("recovery", what, effect)


def _recovery_days(values: Mapping[str, Any]) -> int:
    stated = values.get("point_in_time_recovery")
    if isinstance(stated, bool):  # a replica's
        return _DEFAULT_RECOVERY_DAYS if stated else 0
    block = _block(values, "point_in_time_recovery")
    return int(block.get("recovery_period_in_days") or _DEFAULT_RECOVERY_DAYS) if block.get("enabled") else 0


def _deletion_protection(change: Change, name: str) -> Iterator[Finding]:
    setting = "deletion_protection_enabled"
    if change.before.get(setting) and not change.after.get(setting) and not change.unknown.get(setting):
        yield change.finding(
            "deletion-protection",
            f"deletion protection of {name} is switched off",
            "DynamoDB no longer refuses to delete it: one call, or one later plan, takes all items.",
        )


def _encryption(change: Change, name: str) -> Iterator[Finding]:
    before, after = (_block(values, "server_side_encryption") for values in (change.before, change.after))
    was = before.get("kms_key_arn") if before.get("enabled") else None
    will = after.get("kms_key_arn") if after.get("enabled") else None
    unknown = _block(change.unknown, "server_side_encryption").get("kms_key_arn") is True
    stated = "kms_key_arn" in _block(change.after, "server_side_encryption")
    if was == will and not (unknown and not stated and "server_side_encryption" in change.configured):
        return
    if was and (will or unknown):
        what = f"table {name} moves to another key"
    elif will or unknown:
        what = f"table {name} moves to a key of its own"
    else:
        what = f"table {name} moves to a key of AWS's"
    yield change.finding(
        "encryption-key",
        what,
        "Whoever may not use the new key can't read or write from then on. Backups and restore points stay under the "
        "old one: without it they can't be restored.",
    )


def _stream(change: Change, readers: Mapping[str, list[str]]) -> Iterator[Finding]:
    before, after = change.before, change.after
    if not before.get("stream_enabled"):
        return
    if not after.get("stream_enabled"):
        what = "the stream is switched off"
    elif before.get("stream_view_type") != after.get("stream_view_type"):
        what = (
            f"the stream is made anew, as {after.get('stream_view_type')} instead of {before.get('stream_view_type')}"
        )
    else:
        return
    known = " and ".join(readers.get(before.get("stream_arn") or "", []))
    yield change.finding(
        "drop-stream",
        what,
        "What its readers have not read is lost to them, and they get nothing new: another stream has another ARN. "
        + (f"It is read by {known}; " if known else "Nothing in this state reads it; ")
        + "readers outside of this state can't be seen.",
    )


def _readers(planned: Mapping[str, Any]) -> dict[str, list[str]]:
    """What reads from each stream, as far as the state knows."""
    found: dict[str, list[str]] = {}
    for resource in _resources(planned.get("prior_state", {}).get("values", {}).get("root_module", {})):
        source = resource.get("values", {}).get(_READERS.get(resource["type"], ""))
        if source:
            found.setdefault(source, []).append(resource["address"])
    return found


def _resources(module: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from module.get("resources", [])
    for child in module.get("child_modules", []):
        yield from _resources(child)


# --- keys, backups, states ------------------------------------------------------------------------------------------


def _gone(change: Change) -> Iterator[Finding]:
    if change.type in _KEYS:
        yield from _keys(change)
    elif change.type == "aws_s3_bucket" and change.gone:
        yield change.finding(
            "destroy-state-bucket",
            f"bucket {change.before.get('bucket')} is destroyed",
            "S3 refuses while it holds anything, unless force_destroy is set: then every version of every object is "
            "gone, states of Terraform included, and nobody knows any more what was made.",
        )
    elif change.type == "aws_cognito_user_pool":
        yield from _user_pools(change)
    elif change.type == "aws_backup_vault" and change.gone:
        yield change.finding(
            "destroy-backup",
            "the backups' vault is destroyed",
            "AWS refuses while it holds a recovery point, unless force_destroy is set: then every backup is deleted.",
        )
    elif change.type == "aws_backup_vault_lock_configuration" and change.gone:
        yield change.finding(
            "destroy-backup",
            "the lock of the backups' vault is removed",
            "Whoever may, can then delete backups, or keep them for less long.",
        )
    elif change.type in ("aws_backup_plan", "aws_backup_selection") and change.gone and not change.replaced:
        yield change.finding(
            "destroy-backup",
            "backups are switched off",
            "No more backups are made; those that are there go as they expire.",
        )


def _user_pools(change: Change) -> Iterator[Finding]:
    name = change.before.get("name")
    if change.gone:
        yield change.finding(
            "destroy-user-pool",
            f"the user pool {name} is {'replaced' if change.replaced else 'destroyed'}",
            "Cognito deletes all callers with their passwords, tenants and groups at once, and nothing brings them "
            "back: whoever signs in there is locked out.",
        )
    elif change.before.get("deletion_protection") == "ACTIVE" and change.after.get("deletion_protection") != "ACTIVE":
        yield change.finding(
            "deletion-protection",
            f"deletion protection of the user pool {name} is switched off",
            "Cognito no longer refuses to delete it: one call, or one later plan, takes all callers.",
        )


def _keys(change: Change) -> Iterator[Finding]:
    if change.gone:
        what, until = "the encryption key is destroyed", "and for good when its waiting period (7 to 30 days) is over"
    elif change.before.get("is_enabled") and change.after.get("is_enabled") is False:
        what, until = "the encryption key is disabled", "and until it is enabled again"
    else:
        return
    effect = f"Tables, backups and logs that are encrypted with it can't be read: at once, {until}."
    yield change.finding("destroy-key", what, effect)


# --- doors ----------------------------------------------------------------------------------------------------------


def _doors(change: Change) -> Iterator[Finding]:
    public = "Anybody on the internet can call it, read and write what it reads and writes, and run up its bill."
    setting = _DOORS.get(change.type)
    if setting and change.after.get(setting) == "NONE" and change.before.get(setting) != "NONE":
        place = change.after.get("route_key") or change.after.get("http_method") or "the function's URL"
        yield change.finding("public-route", f"{place} asks callers for nothing", public)
    if change.type != "aws_lambda_permission" or not _is_for_all(change.after) or _is_for_all(change.before):
        return
    if change.after.get("function_url_auth_type") == "NONE":
        yield change.finding("public-route", "everybody may call the function's URL", public)
    elif not any(change.unknown.get(each) for each in ("principal_org_id", "source_account", "source_arn")):
        yield change.finding(
            "wildcard", 'the permission names principal "*"', "Every AWS account can call the function."
        )


def _is_for_all(permission: Mapping[str, Any]) -> bool:
    narrowed = any(permission.get(each) for each in ("principal_org_id", "source_account", "source_arn"))
    return permission.get("principal") == "*" and not narrowed


def _policies(change: Change) -> Iterator[Finding]:
    hidden = [name for name in _POLICIES if name in change.configured and _is_hidden(change.unknown.get(name))]
    if hidden and change.type.startswith("aws_") and not (change.gone and not change.replaced):
        yield change.finding(
            "policy-unknown",
            f"{' and '.join(hidden)} will be known only while it is applied",
            "Nobody can review what AWS then allows. Build its ARNs from names, or apply what it waits for first.",
        )
    grown = policy_growth.grown(
        policy_growth.documents(change.before),
        policy_growth.documents(change.after),
        of_itself=change.type in _POLICIES_OF_ITSELF,
        principals=change.type not in _ENDPOINTS,
    )
    grown += [f"AWS's own {arn}" for arn in sorted(_wide_attachments(change.after) - _wide_attachments(change.before))]
    if grown:
        yield change.finding(
            "wildcard",
            f"the policy grows by {', '.join(grown)}",
            "AWS allows more than is named, also on what is made later. Name the actions, resources and principals.",
        )


def _is_hidden(unknown: Any) -> bool:
    """Blocks are lists of their parts."""
    if isinstance(unknown, list):
        return any(_is_hidden(each.get("policy")) for each in unknown)
    return unknown is True


def _wide_attachments(values: Mapping[str, Any]) -> set[str]:
    """AWS's own policies of whole services that are attached."""
    attached = [values.get("policy_arn"), *(values.get("managed_policy_arns") or [])]
    return {str(arn) for arn in attached if arn and _WIDE_MANAGED.fullmatch(arn)}


# --- the plan's JSON ------------------------------------------------------------------------------------------------


def _changes(planned: Mapping[str, Any]) -> Iterator[Change]:
    configuration = planned.get("configuration", {}).get("root_module", {})
    for resource in planned.get("resource_changes", []):
        change = resource["change"]
        if resource["mode"] != "managed" or change["actions"] == ["no-op"]:
            continue
        unknown = change.get("after_unknown")
        paths = dict.fromkeys(str(path[0]) for path in change.get("replace_paths", []) if path)
        yield Change(
            resource["address"],
            resource["type"],
            frozenset(change["actions"]),
            change["before"] or {},
            change["after"] or {},
            unknown if isinstance(unknown, dict) else {},
            ", ".join(paths)
            or _WITHOUT_PATHS.get(resource.get("action_reason"), "a change that can't be made in place"),
            _configured(configuration, resource),
        )


def _configured(module: Mapping[str, Any], resource: Mapping[str, Any]) -> frozenset[str]:
    """The arguments that the code sets; others are AWS's answer."""
    for name in re.findall(r"module\.([A-Za-z0-9_-]+)", re.sub(r'\["(?:[^"\\]|\\.)*"\]', "", resource["address"])):
        module = module.get("module_calls", {}).get(name, {}).get("module", {})
    for found in module.get("resources", []):
        if (found["mode"], found["type"], found["name"]) == (resource["mode"], resource["type"], resource["name"]):
            return frozenset(found.get("expressions", {}))
    return frozenset()


def _block(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    blocks = values.get(name)
    return blocks[0] if isinstance(blocks, list) and blocks and isinstance(blocks[0], Mapping) else {}


def _plain(value: Any) -> Any:
    """A setting that is missing, null, empty or in another order is the same to DynamoDB."""
    return sorted(value) if isinstance(value, list) and value else value or None


def _matches(name: str, pattern: str) -> bool:
    """`*` stands for anything; brackets, which addresses are full of, for themselves."""
    return fnmatchcase(name, re.sub(r"[\[?]", lambda found: f"[{found[0]}]", pattern))
