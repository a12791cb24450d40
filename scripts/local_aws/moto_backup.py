"""AWS Backup in moto: what the Terraform provider asks of it beyond what moto answers. Nothing is backed up."""

from __future__ import annotations

import functools
import json
from typing import Any
from urllib.parse import unquote

from scripts.local_aws.moto_patch import replace


@functools.cache
def install() -> None:
    """Patches moto."""
    from moto.backup.exceptions import ResourceNotFoundException
    from moto.backup.models import BackupBackend, Plan
    from moto.backup.responses import BackupResponse
    from moto.moto_api._internal import mock_random

    def plan_of(response: Any) -> Any:
        return response.backup_backend.get_backup_plan(_after(response.path, "plans"), None)

    def selection_of(response: Any) -> tuple[dict[str, Any], str]:
        selections, wanted = plan_of(response).selections, _after(response.path, "selections")
        if wanted not in selections:
            raise ResourceNotFoundException(f"Cannot find Backup selection with ID {wanted}")
        return selections, wanted

    def create_backup_selection(self: Any) -> str:
        plan, made = plan_of(self), str(mock_random.uuid4())
        plan.selections[made] = json.loads(self.body)["BackupSelection"]
        return json.dumps(
            {"SelectionId": made, "BackupPlanId": plan.backup_plan_id, "CreationDate": plan.creation_date}
        )

    def get_backup_selection(self: Any) -> str:
        selections, wanted = selection_of(self)
        plan = plan_of(self).backup_plan_id
        return json.dumps({"BackupSelection": selections[wanted], "SelectionId": wanted, "BackupPlanId": plan})

    def delete_backup_selection(self: Any) -> str:
        selections, wanted = selection_of(self)
        del selections[wanted]
        return "{}"

    def update_backup_plan(self: Any) -> str:
        plan = plan_of(self)
        changed = Plan(json.loads(self.body)["BackupPlan"], plan.creator_request_id, self.backup_backend)
        plan.backup_plan, plan.version_id = changed.backup_plan, changed.version_id
        return json.dumps(plan.to_dict())

    # moto looks for the ARN in front of a slash that the provider does not send, and finds nothing.
    def list_tags(self: Any) -> str:
        return json.dumps({"Tags": self.backup_backend.list_tags(unquote(_after(self.path, "tags")))})

    for action in (
        create_backup_selection,
        get_backup_selection,
        delete_backup_selection,
        update_backup_plan,
        list_tags,
    ):
        setattr(BackupResponse, action.__name__, action)

    @replace(Plan, "__init__")
    def new_plan(original: Any, self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        self.selections = {}

    # moto keeps what was deleted, and then finds its name in use.
    @replace(BackupBackend, "delete_backup_plan")
    def delete_backup_plan(original: Any, self: Any, backup_plan_id: str) -> Any:
        answer = original(self, backup_plan_id)
        del self.plans[backup_plan_id]
        return answer


def _after(path: str, word: str) -> str:
    """The part of a path that follows a word."""
    parts = path.strip("/").split("/")
    return parts[parts.index(word) + 1]
