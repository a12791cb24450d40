"""What the doctor can find. A code stays what it is: pipelines may look for it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

ERROR, WARNING, INFO = "error", "warning", "info"
SEVERITIES = (ERROR, WARNING, INFO)  # the worst first
RESTORE = "restore-table-from-backup"
STACK = "stack"  # the system of what concerns all

# Severity, and what it means in a few words (docs/doctor.md shows them).
CODES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        # the way to the account
        "embedded-aws-not-running": (ERROR, "the environment lives in the embedded AWS, which does not run"),
        "no-credentials": (ERROR, "there are no AWS credentials"),
        "profile-missing": (ERROR, "the AWS configuration has no such profile"),
        "credentials-expired": (ERROR, "the credentials or the sign-in have expired"),
        "credentials-refused": (ERROR, "AWS does not take the credentials"),
        "wrong-account": (ERROR, "the credentials are another account's than the environment's, or the state's"),
        "aws-unreachable": (ERROR, "AWS can't be reached from here"),
        "clock-skew": (WARNING, "this machine's clock is wrong; five minutes off, AWS refuses every call"),
        "operator-not-authorised": (WARNING, "whoever runs the doctor may not look at all of the stack"),
        "could-not-look": (WARNING, "a service gave no answer to the doctor"),
        "terraform-missing": (WARNING, "Terraform is not here, or too old: nothing could be mended from here"),
        # the state
        "state-bucket-missing": (ERROR, "the bucket that keeps Terraform's state is not there"),
        "state-in-another-region": (ERROR, "the state is kept for another region than the environment's"),
        "region-differs": (ERROR, "the stack was applied in another region than the environment's"),
        "not-applied": (ERROR, "nothing is applied"),
        "state-deleted": (ERROR, "somebody deleted the state"),
        "state-unreadable": (ERROR, "the state is damaged, or of another format"),
        "state-lock-left": (WARNING, "the state has been locked for so long that its holder must be gone"),
        "state-locked": (INFO, "somebody works on the state"),
        # tables
        "table-missing": (ERROR, "a table is not there"),
        "table-in-another-region": (ERROR, "a table is not in this region, but in another"),
        "table-not-active": (ERROR, "a table can't be used now"),
        "index-missing": (ERROR, "a table lacks an index"),
        "index-not-active": (ERROR, "an index can't be used now"),
        "keys-differ": (ERROR, "a table or index has other keys than the function uses"),
        "table-settings-differ": (WARNING, "a table is not set as it was applied: recovery, expiry, capacity, …"),
        # functions and API
        "function-missing": (ERROR, "a function is not there"),
        "alias-missing": (ERROR, "the alias that callers use is not there"),
        "function-not-ready": (ERROR, "a function can't run, or its last change failed"),
        "function-stopped": (ERROR, "a function's reserved concurrency is 0: every call is refused"),
        "code-replaced": (ERROR, "callers get other code than what was applied"),
        "alias-moved": (ERROR, "callers get another version than the one applied"),
        "rolled-back": (INFO, "callers get an older version, by `make rollback`"),
        "code-not-applied": (INFO, "what is built here is not what is applied"),
        "function-uses-other-table": (ERROR, "a function is told another table or index than its own"),
        "function-settings-differ": (WARNING, "a function is not set as it was applied"),
        "log-group-missing": (WARNING, "a function has nowhere to log to"),
        "api-missing": (ERROR, "the HTTP API is not there"),
        "route-missing": (ERROR, "a route of the contract has no way to its function"),
        "api-may-not-invoke": (ERROR, "API Gateway may not call the function"),
        "api-unreachable": (ERROR, "the API does not answer from here"),
        "issuer-unreachable": (ERROR, "the issuer of callers' tokens does not publish its keys"),
        # permissions
        "role-missing": (ERROR, "a function's role is not there"),
        "role-not-assumable": (ERROR, "Lambda may not take on the function's role"),
        "not-authorised": (ERROR, "the function's role (or whoever asked) lacks a permission"),
        "policy-differs": (WARNING, "a function's policy is not what was applied"),
        # symptoms, in logs and as they are pasted
        "table-not-found": (ERROR, "DynamoDB knows no such table in this region"),
        "not-persisting": (ERROR, "what is written does not reach DynamoDB"),
        "persistence-is-memory": (INFO, "a system keeps nothing, as its configuration says"),
        "slow-queries": (WARNING, "warm queries take longer than their budget"),
        "slow-cold-starts": (WARNING, "every cold start takes longer than the budget"),
        "slow-table": (WARNING, "DynamoDB itself answers slowly"),
        "timeout": (ERROR, "invocations were ended at the function's time limit"),
        "out-of-memory": (ERROR, "invocations were ended for want of memory"),
        "memory-nearly-full": (WARNING, "a function uses almost all of its memory"),
        "function-does-not-start": (ERROR, "the code can't be imported or initialised"),
        "setting-missing": (ERROR, "a function lacks an environment variable"),
        "index-not-found": (ERROR, "a query names an index that the table does not have"),
        "table-exists": (ERROR, "Terraform wants to make a table that is there already"),
        "key-unusable": (ERROR, "the KMS key of a table or function can't be used"),
        "dynamodb-unavailable": (WARNING, "DynamoDB did not answer, or not in time"),
        "token-refused": (WARNING, "a caller's token is not one that the API takes, or does not say whose it is"),
        "caller-not-authorised": (WARNING, "a caller of the API is not signed in, or lacks execute-api:Invoke"),
        "reply-backend-failed": (WARNING, "the agent server that writes replies failed"),
        "unknown-error": (ERROR, "an error that the doctor has no name for"),
        # load
        "table-throttled": (WARNING, "DynamoDB refuses requests: too many for the table's or index's capacity"),
        "function-throttled": (WARNING, "Lambda refuses calls: no concurrency is left"),
        "api-throttled": (WARNING, "API Gateway refuses requests: more than the API's limit"),
        "hot-key": (WARNING, "one key gets a large share of what a partition can bear, or of all traffic"),
        "throttled-key": (WARNING, "requests for one key are throttled"),
        # alarms
        "alarm-in-alarm": (ERROR, "an alarm is on"),
        "alarm-missing": (WARNING, "an alarm is not there"),
        "alarm-cannot-fire": (WARNING, "an alarm watches what AWS never publishes, or what can't be reached"),
        "alarm-never-ends": (WARNING, "an alarm stays on, or without a verdict, once it was on"),
        "alarm-tells-nobody": (WARNING, "an alarm has its actions switched off, or none"),
        "alarm-topic-missing": (WARNING, "the topic that alarms go to is not there"),
        "nobody-subscribed": (WARNING, "nobody gets what the alarms' topic is told"),
    }
)


class Finding(NamedTuple):
    """One thing that is wrong. `fix` is a command to paste; `evidence` is the raw text that it was seen by, if any."""

    severity: str
    code: str
    system: str
    subject: str
    what: str
    cause: str
    fix: str
    evidence: str = ""


def finding(
    code: str,
    subject: str,
    what: str,
    cause: str,
    fix: str,
    *,
    system: str = STACK,
    evidence: str = "",
    severity: str = "",
) -> Finding:
    """A finding of the severity that its code has, unless another one is given."""
    return Finding(severity or CODES[code][0], code, system, subject, what, cause, fix, evidence)


def in_order(findings: list[Finding]) -> list[Finding]:
    """The worst first; the stack as a whole before its systems; each thing once.

    Before all: tables to restore, since any apply before that makes empty ones.
    """
    unique = dict.fromkeys(findings)
    return sorted(
        unique,
        key=lambda one: (
            SEVERITIES.index(one.severity),
            RESTORE not in one.fix,
            one.system != STACK,
            one.system,
        ),
    )
