mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  backup = {
    name       = "agents-backup"
    table_arns = ["arn:aws:dynamodb:eu-north-1:123456789012:table/Agents"]
  }
}

run "the_defaults_keep_days_and_months" {
  command = plan

  assert {
    condition     = { for rule in aws_backup_plan.this.rule : rule.rule_name => one(rule.lifecycle).delete_after } == { daily = 35, monthly = 365 }
    error_message = "Daily backups for 35 days, monthly ones for a year."
  }

  assert {
    condition     = length(aws_backup_vault_lock_configuration.this) + length(aws_cloudwatch_event_rule.failed) == 0
    error_message = "No lock and nobody told, unless asked for."
  }

  assert {
    condition     = aws_backup_selection.this.resources == toset(["arn:aws:dynamodb:eu-north-1:123456789012:table/Agents"])
    error_message = "The tables, by ARN."
  }

  assert {
    condition = { for statement in jsondecode(output.policy_document).Statement : statement.Sid => statement.Resource } == {
      Backups        = ["arn:aws:dynamodb:eu-north-1:123456789012:table/Agents/backup/*"]
      RecoveryPoints = ["arn:aws:backup:eu-north-1:123456789012:recovery-point:*"]
      Tables         = ["arn:aws:dynamodb:eu-north-1:123456789012:table/Agents"]
      Vaults         = [output.vault_arn]
    }
    error_message = "These tables and this vault: ${output.policy_document}"
  }

  assert {
    condition     = !strcontains(output.policy_document, "Restore") && !strcontains(output.policy_document, "kms:")
    error_message = "It restores nothing, and needs no key where there is none of its own."
  }
}

run "copies_lock_and_keys" {
  command = plan

  variables {
    backup = {
      name                     = "agents-backup"
      table_arns               = ["arn:aws:dynamodb:eu-north-1:123456789012:table/Agents"]
      kms_key_arn              = "arn:aws:kms:eu-north-1:123456789012:key/vault"
      table_kms_key_arns       = ["arn:aws:kms:eu-north-1:123456789012:key/tables"]
      permissions_boundary_arn = "arn:aws:iam::123456789012:policy/boundary"
      role_path                = "/agents/"
      lock                     = { min_retention_days = 30, max_retention_days = 400, changeable_for_days = 3 }
      failure_topic_arns       = ["arn:aws:sns:eu-north-1:123456789012:ops"]
      rules = {
        weekly = {
          schedule                  = "cron(0 5 ? * SUN *)"
          start_window_minutes      = 120
          completion_window_minutes = 180
          cold_storage_after_days   = 30
          delete_after_days         = 120
          copy_to_vault_arns        = ["arn:aws:backup:eu-west-1:210987654321:backup-vault:copies"]
        }
      }
    }
  }

  assert {
    condition     = one(aws_backup_vault_lock_configuration.this).min_retention_days == 30 && one(aws_backup_vault_lock_configuration.this).max_retention_days == 400 && one(aws_backup_vault_lock_configuration.this).changeable_for_days == 3
    error_message = "The lock as asked for."
  }

  assert {
    condition = alltrue([
      for rule in aws_backup_plan.this.rule : one(rule.copy_action).destination_vault_arn == "arn:aws:backup:eu-west-1:210987654321:backup-vault:copies"
      && one(one(rule.copy_action).lifecycle).delete_after == 120 && one(rule.lifecycle).cold_storage_after == 30
    ])
    error_message = "A copy stays as long as the backup."
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(output.policy_document).Statement : toset(statement.Resource) == toset(["arn:aws:kms:eu-north-1:123456789012:key/vault", "arn:aws:kms:eu-north-1:123456789012:key/tables"])
      if startswith(statement.Action[0], "kms:")
      ]) && one([
      for statement in jsondecode(output.policy_document).Statement : statement.Condition["ForAllValues:ArnEquals"]["backup:CopyTargets"]
      if contains(statement.Action, "backup:CopyFromBackupVault")
    ]) == ["arn:aws:backup:eu-west-1:210987654321:backup-vault:copies"]
    error_message = "Those two keys and those two vaults: ${output.policy_document}"
  }

  assert {
    condition     = one(aws_iam_role.this).permissions_boundary == "arn:aws:iam::123456789012:policy/boundary" && one(aws_iam_role.this).path == "/agents/"
    error_message = "Boundary and path of the role."
  }

  assert {
    condition     = toset(keys(aws_cloudwatch_event_rule.failed)) == toset(["backups", "copies"]) && length(aws_cloudwatch_event_target.failed) == 2 && jsondecode(aws_cloudwatch_event_rule.failed["copies"].event_pattern).detail.sourceBackupVaultArn == [output.vault_arn] && jsondecode(aws_cloudwatch_event_rule.failed["backups"].event_pattern).detail.backupVaultName == ["agents-backup"]
    error_message = "Failed backups and failed copies of this vault are told."
  }
}

run "a_role_of_the_callers_own" {
  command = plan

  variables {
    backup = {
      name       = "agents-backup"
      table_arns = ["arn:aws:dynamodb:eu-north-1:123456789012:table/Agents"]
      role_arn   = "arn:aws:iam::123456789012:role/backups"
      rules      = { forever = { schedule = "cron(0 5 1 1 ? *)" } }
    }
  }

  assert {
    condition     = length(aws_iam_role.this) + length(aws_iam_role_policy.this) == 0 && output.role_arn == "arn:aws:iam::123456789012:role/backups" && output.policy_document == null
    error_message = "No other role is made."
  }

  assert {
    condition     = alltrue([for rule in aws_backup_plan.this.rule : length(rule.lifecycle) == 0])
    error_message = "Without an end, backups stay for ever."
  }
}
