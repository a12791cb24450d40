"""Raw symptoms (error texts, and how people put it) and what is behind them; the first rule that fits is meant.

The same rules read the logs, the answers of dry calls, and what a person pastes (`make doctor SYMPTOM=…`).
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from scripts.diagnosis import fixes
from scripts.diagnosis.findings import STACK, Finding, finding
from scripts.environments import Environment


class Rule(NamedTuple):
    """Of the patterns the first that fits counts, with what it means; that may name the pattern's groups.

    `fix` gets the environment and those groups.
    """

    code: str
    patterns: tuple[tuple[re.Pattern[str], str], ...]
    cause: str
    fix: Callable[[Environment, dict[str, str]], str]


def _rule(
    code: str,
    pattern: str,
    what: str,
    cause: str,
    fix: Callable[[Environment, dict[str, str]], str],
    *,
    precisely: tuple[str, str] | None = None,
) -> Rule:
    """`precisely`: a pattern that tells more, and what it means; tried first."""
    patterns = [*([precisely] if precisely else []), (pattern, what)]
    return Rule(code, tuple((re.compile(each, re.IGNORECASE), means) for each, means in patterns), cause, fix)


def _apply(environment: Environment, _groups: dict[str, str]) -> str:
    return fixes.apply(environment)


def _edit(environment: Environment, _groups: dict[str, str]) -> str:
    return fixes.edit_and_apply(environment)


def _make(target: str) -> Callable[[Environment, dict[str, str]], str]:
    return lambda environment, _groups: fixes.make(environment, target)


def _sign_in(environment: Environment, _groups: dict[str, str]) -> str:
    return fixes.sign_in(environment)


def _adopt(environment: Environment, groups: dict[str, str]) -> str:
    return f"{fixes.make(environment, 'adopt')} TABLE={groups.get('table', '<its name>')}"


_REFUSED_BY_IAM = (
    r"(User: (?P<caller>\S+) )?is not authorized to perform: (?P<action>[\w-]+:\w+)"
    r"( on resource: (?P<resource>[^\s\"]+))?"
)

RULES = (
    _rule(
        "clock-skew",
        r"Signature (expired|not yet current)|RequestTimeTooSkewed|RequestInTheFuture",
        "AWS refuses signatures because of their time",
        "the machine's clock is more than five minutes off",
        lambda _environment, _groups: "sudo timedatectl set-ntp true",
    ),
    _rule(
        "credentials-expired",
        r"ExpiredToken|token included in the request is expired|SSO session .*(expired|invalid)"
        r"|credentials have expired",
        "the credentials have expired",
        "sessions end after some hours",
        _sign_in,
    ),
    _rule(
        "no-credentials",
        r"Unable to locate credentials|NoCredential|No valid credential sources|no AWS credentials|no usable AWS cred",
        "there are no AWS credentials",
        "nobody is signed in, and no keys are exported",
        _sign_in,
    ),
    _rule(
        "credentials-refused",
        r"UnrecognizedClientException|InvalidClientTokenId|token included in the request is invalid"
        r"|SignatureDoesNotMatch|InvalidSignatureException",
        "AWS refuses the credentials",
        "the keys are deleted, switched off or mistyped, or the region is one that this account has not switched on",
        _sign_in,
    ),
    _rule(
        "state-lock-left",
        r"acquiring the state lock|state is locked by",
        "the state is locked",
        "a plan or apply is under way, or was killed; the doctor tells since when, and how to take a lock away",
        _make("doctor"),
    ),
    _rule(
        "state-bucket-missing",
        r"NoSuchBucket|specified bucket does not exist|no state bucket",
        "the state's bucket is not there",
        "the account and region were never bootstrapped, or [aws] region is another than it was",
        _make("bootstrap"),
    ),
    _rule(
        "table-exists",
        r"Table already exists|ResourceInUseException",
        "a table of that name exists already",
        "it was made by hand, or by another stack; Terraform can take it over as it is",
        _adopt,
        precisely=(r"Table already exists: *(?P<table>[\w.-]{3,})", "the table {table} exists already"),
    ),
    _rule(
        "index-not-found",
        r"does not have the specified index",
        "the table lacks an index that is asked for",
        "it was removed, is being migrated, or the code is older than the table",
        _apply,
        precisely=(r"does not have the specified index: *(?P<index>[\w.-]+)", "the table has no index {index}"),
    ),
    _rule(
        "keys-differ",
        r"provided key element does not match the schema|required keys was not given a value|Missing the key \S+ in the"
        r" item|Type mismatch for (Index )?Key",
        "DynamoDB refuses keys that are not the table's",
        "the table has other keys or types than the code uses: it was made by hand, or another table is meant",
        _make("drift"),
    ),
    _rule(
        "key-unusable",
        r"KMS\w*Exception|KMSInvalidState|KMS key .*(disabled|pending deletion)|InaccessibleEncryption",
        "a KMS key can't be used",
        "it is switched off, about to be deleted, or no longer lets this role use it",
        _make("drift"),
        precisely=(r"(?P<key>arn:[\w-]+:kms:[\w:/-]+).{0,80}disabled", "the KMS key {key} is switched off"),
    ),
    _rule(
        "function-missing",
        r"Function not found: *(?P<function>\S+)",
        "there is no function {function}",
        "it was deleted outside Terraform, or is in another region",
        _apply,
    ),
    _rule(
        "log-group-missing",
        r"specified log group does not exist",
        "there is no such log group",
        "it was deleted outside Terraform, or nothing is applied",
        _apply,
    ),
    _rule(
        "token-refused",
        r"www-authenticate: *Bearer|invalid_token|insufficient_scope|the token (says nothing of|names no single)",
        "the API refuses a token",
        'the API asks for a token of the issuer, audience and scopes in api_jwt (api_auth = "jwt"), sent as '
        "authorization: Bearer <token>, and for its claims of tenant and user (token_claims)",
        _make("verify"),
        precisely=(r'error_description="(?P<why>[^"]+)"', "the API refuses a token: {why}"),
    ),
    _rule(
        "caller-not-authorised",
        r"Missing ?Authentication ?Token|^\s*\{\"message\": *\"(Forbidden|Unauthorized)\"\}\s*$|execute-api:Invoke",
        "the API refuses its caller",
        'the API takes signed requests of callers that may execute-api:Invoke (api_auth = "iam"; the README shows how '
        'curl signs), or tokens (api_auth = "jwt"; the answer\'s header www-authenticate says what is wrong with one)',
        lambda _environment, _groups: (
            'curl --aws-sigv4 "aws:amz:$AWS_REGION:execute-api" --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" '
            '-H "x-amz-security-token: $AWS_SESSION_TOKEN" "$API_URL/agents/an-id"'
        ),
    ),
    _rule(
        "not-authorised",
        r"Access ?Denied|not authori[sz]ed|UnauthorizedOperation|permission denied",
        "AWS refuses a call for want of a permission",
        "the caller's policy was changed or removed outside Terraform, or never had this; a role outside the stack "
        "gets access by attach_access_to_roles. If the resource names another region, account or table than the "
        "stack's, the caller is told the wrong one",
        _apply,
        precisely=(_REFUSED_BY_IAM, "{caller} may not {action} on {resource}"),
    ),
    _rule(
        "setting-missing",
        r"KeyError: '(?P<variable>[A-Z][A-Z_]{3,})'",
        "the function lacks the environment variable {variable}",
        "somebody changed its environment outside Terraform, or the code is newer than what was applied",
        _apply,
        precisely=(
            r"environment variable (?P<variable>\w+) is not set",
            "the function lacks the environment variable {variable}",
        ),
    ),
    _rule(
        "function-does-not-start",
        r"Runtime\.(ImportModuleError|HandlerNotFound|UserCodeSyntaxError|InvalidEntrypoint|MalformedHandlerName)"
        r"|No module named|Unable to import module|Phase: init.*Status: (error|timeout)|InvalidEntrypoint",
        "the function's code can't be loaded",
        "the archive is not what `make build` makes, or the handler's name is another one",
        _apply,
    ),
    _rule(
        "out-of-memory",
        r"Runtime\.OutOfMemory|MemoryError|signal: killed|OutOfMemory",
        "the function runs out of memory",
        "functions.<system>.memory_megabytes is too small for what it is asked; more memory also means more CPU",
        _edit,
    ),
    _rule(
        "timeout",
        r"Task timed out|Sandbox\.Timedout|Endpoint request timed out|Runtime\.Timeout|\"status\": *\"timeout\""
        r"|platform\.report: timeout",
        "invocations were ended at the time limit",
        "DynamoDB or the agent server answered late, or too much was asked at once; if that is meant, "
        "functions.<system>.timeout_seconds can be more",
        _edit,
        precisely=(r"Task timed out after (?P<seconds>[\d.]+) seconds", "invocations were ended after {seconds} s"),
    ),
    _rule(
        "table-throttled",
        r"ProvisionedThroughputExceeded|ThrottlingException|ThrottlingError|RequestLimitExceeded|\bThrottled: "
        r"|exceeded the (maximum allowed )?provisioned throughput|data store is throttling",
        "DynamoDB throttles",
        "more is asked than the table, an index or one key's partition can bear: raise the capacity or use "
        'billing_mode = "PAY_PER_REQUEST" in tables."<system>.<table>", and look for a hot key (contributor_insights)',
        _edit,
    ),
    _rule(
        "function-throttled",
        r"TooManyRequestsException|Rate Exceeded|ConcurrentInvocationLimitExceeded",
        "Lambda refuses calls",
        "the function's reserved concurrency, or the account's, is used up",
        _edit,
    ),
    _rule(
        "api-throttled",
        r"Too Many Requests",
        "the API answers 429",
        "more requests than api_throttling lets through",
        _edit,
    ),
    _rule(
        "table-not-found",
        r"Requested resource not found|ResourceNotFoundException|non-existent table|TableNotFound"
        r"|\btable\b.{0,60}(not found|does ?n[o']t exist|is missing|no such)"
        r"|no such table",
        "DynamoDB knows no such table there",
        "it was never made, was deleted, has another name than the caller is told, or is in another region: "
        "`make doctor` looks in all of them",
        _apply,
        precisely=(r"Table:? *(?P<table>[\w.-]+) not found", "DynamoDB knows no table {table} there"),
    ),
    _rule(
        "reply-backend-failed",
        r"agent server|reply backend|API_SERVER_URL",
        "the agent server did not reply",
        "agent_sessions.reply names a URL that fails or is slow, or its key is refused; the users' messages are kept",
        _edit,
    ),
    _rule(
        "dynamodb-unavailable",
        r"\bUnavailable: |can't connect to dynamodb|no answer to \w+|no time left for a call|Could not connect to the"
        r" endpoint|InternalServerError|ServiceUnavailable|TransactionConflict",
        "DynamoDB does not answer in time",
        "a passing fault of the service, of the network (a VPC without an endpoint for DynamoDB), or transactions that "
        "compete for one item",
        lambda _environment, _groups: "curl -sS https://health.aws.amazon.com/public/currentevents",
    ),
    _rule(
        "not-persisting",
        r"not persist|n[o']t (survive|kept|saved|stored)|(lost|lose|loses|losing|vanish\w*|disappear\w*|forget\w*"
        r"|forgot\w*|gone|empty|wiped?|reset)\b.{0,60}\b(cold ?start|restart|deploy|idle|later|minutes|hours|night)"
        r"|(cold ?start|restart|deploy|idle).{0,80}\b(lost|lose|loses|vanish|disappear|forget|forgot|gone|empty|404|"
        r"not found|missing)|PERSISTENCE\W+memory|in.memory (registry|store|mode)",
        "what is written does not outlive the execution environment",
        "PERSISTENCE is memory, callers get a version that was published with it, the function writes to another "
        "table, or items expire (ttl). `make doctor` tells which; `make verify` proves it by a cold start",
        _apply,
    ),
    _rule(
        "slow-cold-starts",
        r"cold ?starts?\b.{0,60}(slow|long|seconds)|(slow|long)\b.{0,40}cold ?start"
        r"|Init Duration: ([1-9]\d{3,}|[5-9]\d\d)",
        "cold starts take long",
        "little memory means little CPU: functions.<system>.memory_megabytes; snap_start or provisioned_concurrency "
        "avoid them",
        _edit,
    ),
    _rule(
        "slow-queries",
        r"\bslow|latency|takes? (too |so |very )?long|\b\d{3,} ?ms\b|\bover budget\b|timing out",
        "queries are slow",
        "too little memory, and with it CPU (functions.<system>.memory_megabytes), a table without the capacity, a hot "
        "key, or one query that reads much: `make doctor` tells routes and figures",
        _edit,
    ),
)


def recognise(text: str, environment: Environment, *, system: str = STACK, subject: str = "") -> Finding | None:
    """What the text is a symptom of."""
    for rule in RULES:
        for pattern, means in rule.patterns:
            if match := pattern.search(text):
                groups = {name: value or "…" for name, value in match.groupdict().items()}
                return finding(
                    rule.code,
                    subject or environment.name,
                    means.format_map(groups),
                    rule.cause if system == STACK else rule.cause.replace("<system>", system),
                    rule.fix(environment, groups),
                    system=system,
                    evidence=text.strip()[:1000],
                )
    return None


def unknown(text: str, environment: Environment, *, system: str, subject: str, log_group: str) -> Finding:
    """An error without a name: the log around it is what there is."""
    own = f"{fixes.make(environment, 'logs')} SYSTEM={system} SINCE=1h FOLLOW=0"
    return finding(
        "unknown-error",
        subject,
        normal(text)[:160],
        "none of the causes that are known; the lines around it in the log may tell",
        own if system != STACK else fixes.aws(environment, f"logs tail {log_group} --since 1h"),
        system=system,
        evidence=text.strip()[:1000],
    )


def normal(text: str) -> str:
    """The text without what differs from one time to another: ids, numbers, times."""
    text = re.sub(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", "…", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z?", "…", text)
    text = re.sub(r"\b(?=[0-9a-fA-F]*\d)[0-9a-fA-F]{8,}\b", "…", text)
    text = re.sub(r"\d+(\.\d+)?", "…", text)
    return " ".join(text.split())


def pasted(text: str, environment: Environment) -> list[Finding]:
    """All that a person's paste is a symptom of, each once: line by line, or else as a whole."""
    parts = [*text.splitlines(), " ".join(text.split())]
    by_part = [recognise(part, environment) for part in parts]
    found = [one for one in by_part[:-1] if one] or [one for one in by_part[-1:] if one]
    return list({(one.code, one.what): one for one in found}.values())
