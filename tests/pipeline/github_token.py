"""What GitHub gives a job, and what AWS gives for it."""

import base64
import json
import time
from typing import Any

ISSUER = "https://token.actions.githubusercontent.com"


def token(subject: str, **claims: Any) -> str:
    """A token of a job, unsigned: nobody here could check GitHub's signature."""
    stated = {"iss": ISSUER, "aud": "sts.amazonaws.com", "sub": subject, "exp": int(time.time()) + 300} | claims
    parts = [json.dumps({"alg": "none"}), json.dumps(stated), "unsigned"]
    return ".".join(base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in parts)


def sign_in(sts: Any, role_arn: str, subject: str, **claims: Any) -> dict[str, str]:
    """The role's credentials, as variables of a job's environment. `sts` is a client; its own keys are not used."""
    answer = sts.assume_role_with_web_identity(
        RoleArn=role_arn, RoleSessionName="GitHubActions", WebIdentityToken=token(subject, **claims)
    )["Credentials"]
    return {
        "AWS_ACCESS_KEY_ID": answer["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": answer["SecretAccessKey"],
        "AWS_SESSION_TOKEN": answer["SessionToken"],
    }
