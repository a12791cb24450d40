# Jobs that fail are told by event: a metric of failed jobs has no series until the first one fails, and none by plan.

locals {
  watched = length(var.backup.failure_topic_arns) > 0 ? {
    backups = { type = "Backup Job State Change", vault = { backupVaultName = [var.backup.name] } }
    copies  = { type = "Copy Job State Change", vault = { sourceBackupVaultArn = [local.vault_arn] } }
  } : {}

  rules = { for kind, watched in local.watched : kind => watched if kind == "backups" || length(local.copy_vaults) > 0 }

  # By position: ARNs of topics that the caller makes are not known in the plan.
  tellings = merge([
    for kind in keys(local.rules) : { for place in range(length(var.backup.failure_topic_arns)) : "${kind}/${place}" => { kind = kind, place = place } }
  ]...)
}

resource "aws_cloudwatch_event_rule" "failed" {
  for_each = local.rules

  name        = "${var.backup.name}-failed-${each.key}"
  description = "${title(each.key)} of ${var.backup.name} that AWS Backup could not make"
  tags        = var.backup.tags

  event_pattern = jsonencode({
    source      = ["aws.backup"]
    detail-type = [each.value.type]
    detail      = merge({ state = ["ABORTED", "EXPIRED", "FAILED", "PARTIAL"] }, each.value.vault)
  })
}

resource "aws_cloudwatch_event_target" "failed" {
  for_each = local.tellings

  rule = aws_cloudwatch_event_rule.failed[each.value.kind].name
  arn  = var.backup.failure_topic_arns[each.value.place]
}
