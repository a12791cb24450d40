"""The way to the account: the embedded AWS, credentials, the right account, this machine's clock, Terraform."""

import os
import platform
import shlex
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from scripts import aws, terraform_cli
from scripts.aws import AccountError
from scripts.console import CommandError
from scripts.diagnosis import fixes
from scripts.diagnosis.findings import Finding, finding
from scripts.environments import Environment

# Half a minute is what a network and a busy machine may take.
SKEW_SECONDS = 60
_TERRAFORM = "1.11.4"
_CAUSES = {
    "embedded-aws-not-running": "it was never started, was stopped, or has died; what it held is gone",
    "no-credentials": "nobody is signed in, and no keys are exported",
    "profile-missing": "AWS_PROFILE or [aws] profile names what ~/.aws/config does not have",
    "credentials-expired": "sessions end after some hours",
    "credentials-refused": "the keys are deleted, switched off, mistyped, or another partition's",
    "wrong-account": "another account's profile or keys are in use; nothing was touched",
    "aws-unreachable": "no network, a proxy or VPN in between, or AWS_ENDPOINT_URL leads elsewhere",
    "clock-skew": "every call is signed with the time, and is good for five minutes",
}


class Caller(NamedTuple):
    """Who looks, where, and the time by AWS's clock: this machine's may be wrong."""

    account_id: str
    arn: str
    now: datetime


def look(environment: Environment) -> tuple[list[Finding], Caller | None]:
    """What is wrong, and who is at work; None, after the reason, when there is no way to the account."""
    found = list(_terraform())
    try:
        aws.use(environment)
        answer = aws.caller(environment)
        aws.require_account(environment, answer)
    except AccountError as error:
        return [*found, _no_way(environment, error)], None
    theirs = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
    caller = Caller(str(answer["Account"]), str(answer["Arn"]), theirs + timedelta(seconds=1))
    return [*found, *_clock(theirs)], caller


def _no_way(environment: Environment, error: AccountError) -> Finding:
    fix = {
        "embedded-aws-not-running": "make up",
        "profile-missing": f"aws configure sso --profile {shlex.quote(_profile(environment))}",
        "aws-unreachable": _reach(environment),
        "clock-skew": "sudo timedatectl set-ntp true",
    }.get(error.code, fixes.sign_in(environment))
    evidence = str(error.__cause__ or "")
    severity = "error"  # without it, nothing can be looked at
    return finding(
        error.code, environment.name, error.message, _CAUSES[error.code], fix, evidence=evidence, severity=severity
    )


def _profile(environment: Environment) -> str:
    return environment.profile or os.environ.get("AWS_PROFILE", "default")


def _reach(environment: Environment) -> str:
    if endpoint := os.environ.get("AWS_ENDPOINT_URL"):
        return f"curl -sS {shlex.quote(endpoint)} || unset AWS_ENDPOINT_URL"
    suffix = ".cn" if environment.partition == "aws-cn" else ""
    return f"curl -sSv https://sts.{environment.region}.amazonaws.com{suffix}"


def _clock(theirs: datetime) -> Iterator[Finding]:
    off = time.time() - theirs.timestamp()
    if abs(off) > SKEW_SECONDS:
        yield finding(
            "clock-skew",
            platform.node() or "this machine",
            f"the clock is {abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} AWS's",
            _CAUSES["clock-skew"],
            "sudo timedatectl set-ntp true",
        )


def _terraform() -> Iterator[Finding]:
    try:
        terraform_cli.require_terraform()
    except CommandError as error:
        system = platform.system().lower()
        machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
        archive = f"terraform_{_TERRAFORM}_{system}_{machine}.zip"
        yield finding(
            "terraform-missing",
            terraform_cli.binary(),
            error.message.removesuffix("."),
            "the doctor needs no Terraform, but plans and applies do",
            f"curl -fsSLO https://releases.hashicorp.com/terraform/{_TERRAFORM}/{archive}"
            f" && sudo unzip -o {archive} terraform -d /usr/local/bin",
        )
