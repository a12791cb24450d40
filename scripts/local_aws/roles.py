"""Roles at work: sessions for functions, their policies, and a record of every decision."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from scripts.local_aws.iam_policy import is_allowed
from scripts.local_aws.settings import ACCOUNT_ID

MAX_DECISIONS = 10_000
_SESSION_SECONDS = 12 * 3600


@dataclasses.dataclass(frozen=True)
class Session:
    """Credentials of an assumed role; `arn` is the caller as IAM names it."""

    access_key_id: str
    secret_access_key: str
    session_token: str
    role_arn: str
    arn: str
    partition: str
    expires: float

    @property
    def role_name(self) -> str:
        return self.role_arn.rsplit("/", 1)[-1]


class Decisions:
    """Which role was allowed what, with counts; bounded, and only distinct ones."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, str, str, bool], int] = {}

    def record(self, role: str, action: str, resource: str, *, allowed: bool) -> None:
        key = (role, action, resource, allowed)
        with self._lock:
            if key in self._counts or len(self._counts) < MAX_DECISIONS:
                self._counts[key] = self._counts.get(key, 0) + 1

    def list(self) -> list[dict[str, object]]:
        with self._lock:
            rows = sorted(self._counts.items())
        return [
            {"role": role, "action": action, "resource": resource, "allowed": allowed, "count": count}
            for (role, action, resource, allowed), count in rows
        ]

    def clear(self) -> None:
        with self._lock:
            self._counts.clear()


def default_document(policy: Any) -> str:
    return next(str(version.document) for version in policy.versions if version.is_default)


def role_policies(role_arn: str, partition: str) -> tuple[list[str], str | None]:
    """The policy documents of a role, inline and attached, and its permissions boundary. No role: nothing."""
    from moto.iam.models import iam_backends

    backend = iam_backends[ACCOUNT_ID][partition]
    role = next((r for r in backend.roles.values() if r.arn == role_arn), None)
    if role is None:
        return [], None
    documents = [str(document) for document in role.policies.values()]
    documents += [default_document(policy) for policy in role.managed_policies.values()]
    boundary = None
    if role.permissions_boundary_arn:
        policy = backend.managed_policies.get(role.permissions_boundary_arn)
        boundary = default_document(policy) if policy else '{"Statement": []}'
    return documents, boundary


def _assumed(access_key_id: str) -> Session | None:
    from moto.sts.models import sts_backends

    for partition, backend in sts_backends[ACCOUNT_ID].items():
        if assumed := backend.get_assumed_role_from_access_key(access_key_id):
            return Session(
                access_key_id=access_key_id,
                secret_access_key=assumed.secret_access_key,
                session_token=assumed.session_token,
                role_arn=assumed.role_arn,
                arn=assumed.arn,
                partition=partition,
                expires=assumed.expiration.timestamp(),
            )
    return None


class Roles:
    """Makes sessions and says what they may do."""

    def __init__(self) -> None:
        self.decisions = Decisions()
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()

    def session(self, role_arn: str, name: str, region: str, partition: str) -> Session:
        """New credentials, known to moto's STS too, so that GetCallerIdentity answers with the role."""
        from moto.sts.models import sts_backends

        with self._lock:
            assumed = sts_backends[ACCOUNT_ID][partition].assume_role(
                region_name=region,
                role_session_name=name,
                role_arn=role_arn,
                policy=None,
                duration=_SESSION_SECONDS,
                external_id=None,
            )
            session = Session(
                access_key_id=assumed.access_key_id,
                secret_access_key=assumed.secret_access_key,
                session_token=assumed.session_token,
                role_arn=role_arn,
                arn=assumed.arn,
                partition=partition,
                expires=time.time() + _SESSION_SECONDS,
            )
            self._sessions[session.access_key_id] = session
        return session

    def forget(self, session: Session) -> None:
        from moto.sts.models import sts_backends

        with self._lock:
            self._sessions.pop(session.access_key_id, None)
            roles: list[Any] = sts_backends[ACCOUNT_ID][session.partition].assumed_roles
            roles[:] = [role for role in roles if role.access_key_id != session.access_key_id]

    def find(self, access_key_id: str) -> Session | None:
        """The session of a role with this key, a function's or one that somebody assumed; None for other callers."""
        return self._sessions.get(access_key_id) or (
            _assumed(access_key_id) if access_key_id.startswith("ASIA") else None
        )

    def allows(
        self,
        role_arn: str,
        partition: str,
        action: str,
        resource: str,
        context: Mapping[str, Sequence[str]] | None = None,
        *,
        record_as: str | None = None,
    ) -> str:
        """ "allow", "deny" or "implicit"; recorded, under another resource's name if one is given."""
        documents, boundary = role_policies(role_arn, partition)
        decision = is_allowed(documents, boundary, action, resource, context or {})
        self.decisions.record(role_arn, action, record_as or resource, allowed=decision == "allow")
        return decision
