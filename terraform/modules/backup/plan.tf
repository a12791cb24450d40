# No continuous backups: AWS Backup makes none of DynamoDB, whose own point-in-time recovery is what goes back by seconds.
resource "aws_backup_plan" "this" {
  name = var.backup.name
  tags = var.backup.tags

  dynamic "rule" {
    for_each = var.backup.rules
    content {
      rule_name         = rule.key
      target_vault_name = aws_backup_vault.this.name
      schedule          = rule.value.schedule
      start_window      = rule.value.start_window_minutes
      completion_window = rule.value.completion_window_minutes

      dynamic "lifecycle" {
        for_each = rule.value.delete_after_days == null && rule.value.cold_storage_after_days == null ? [] : [rule.value]
        content {
          delete_after       = lifecycle.value.delete_after_days
          cold_storage_after = lifecycle.value.cold_storage_after_days
        }
      }

      dynamic "copy_action" {
        for_each = rule.value.copy_to_vault_arns
        content {
          destination_vault_arn = copy_action.value

          dynamic "lifecycle" {
            for_each = rule.value.delete_after_days == null && rule.value.cold_storage_after_days == null ? [] : [rule.value]
            content {
              delete_after       = lifecycle.value.delete_after_days
              cold_storage_after = lifecycle.value.cold_storage_after_days
            }
          }
        }
      }
    }
  }
}

resource "aws_backup_selection" "this" {
  name         = var.backup.name
  plan_id      = aws_backup_plan.this.id
  iam_role_arn = var.backup.role_arn == null ? aws_iam_role.this[0].arn : var.backup.role_arn
  resources    = var.backup.table_arns
}
