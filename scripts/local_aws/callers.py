"""Who calls: access keys and what stands behind them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from scripts.local_aws.iam_policy import is_allowed
from scripts.local_aws.roles import Roles, default_document
from scripts.local_aws.settings import ACCOUNT_ID, CLIENT_ACCESS_KEY_ID, CLIENT_SECRET_ACCESS_KEY
from scripts.local_aws.sigv4 import Secret


@dataclasses.dataclass(frozen=True)
class Caller:
    """`role_arn` for a role's session, `user` for an IAM user (moto's record), neither for the local client."""

    access_key_id: str
    arn: str
    user_id: str
    secret: Secret
    role_arn: str | None = None
    user: Any = None


def find_caller(access_key_id: str, partition: str) -> Caller | None:
    """The caller with an access key: the local client, an IAM user, or a session of a role."""
    from moto.iam.models import iam_backends
    from moto.sts.models import sts_backends

    if access_key_id == CLIENT_ACCESS_KEY_ID:
        arn = f"arn:{partition}:iam::{ACCOUNT_ID}:root"
        return Caller(access_key_id, arn, ACCOUNT_ID, Secret(CLIENT_SECRET_ACCESS_KEY))
    assumed = sts_backends[ACCOUNT_ID][partition].get_assumed_role_from_access_key(access_key_id)
    if assumed is not None:
        secret = Secret(assumed.secret_access_key, assumed.session_token)
        return Caller(access_key_id, assumed.arn, assumed.user_id, secret, role_arn=assumed.role_arn)
    for user in iam_backends[ACCOUNT_ID][partition].users.values():
        for key in user.access_keys:
            if key.access_key_id == access_key_id and key.status == "Active":
                return Caller(access_key_id, user.arn, user.id, Secret(key.secret_access_key), user=user)
    return None


def may(
    caller: Caller,
    roles: Roles,
    partition: str,
    action: str,
    resource: str,
    context: Mapping[str, Sequence[str]],
) -> bool:
    """Whether a caller's policies allow an action. The local client may do everything."""
    if caller.role_arn is not None:
        return roles.allows(caller.role_arn, partition, action, resource, context) == "allow"
    if caller.user is None:
        return True
    documents = [str(document["policy_document"]) for document in _inline(caller.user)]
    documents += [default_document(policy) for policy in caller.user.managed_policies.values()]
    return is_allowed(documents, None, action, resource, context) == "allow"


def _inline(user: Any) -> list[dict[str, Any]]:
    return [user.get_policy(name) for name in user.policies]
