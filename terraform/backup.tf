# Backups by AWS Backup: a vault, a plan, and the tables that it covers.

locals {
  # By `<system>.<table>`, or by name; the markers of idempotency live a day, and are of no use afterwards.
  backup_candidates = merge(
    merge([for name, system in local.systems : { for logical, table in system.tables : "${name}.${logical}" => table.arn if logical != "idempotency" }]...),
    { for name, table in module.extra_table : name => table.arn },
  )
  backed_up = { for key, arn in local.backup_candidates : key => arn if var.backup != null && !contains(try(var.backup.exclude, []), key) }

  # Keys that leave it to IAM who uses them; one that is made here lets the role in itself.
  table_kms_key_arns = distinct(flatten([
    var.table_encryption.kms_key_arn[*],
    [for settings in concat(values(var.tables), values(var.extra_tables)) : try(coalesce(settings.encryption.kms_key_arn)[*], [])],
  ]))

  # What `exclude` can name, whether or not its system is switched on.
  backup_names = concat([for table in keys(local.table_names) : table if table != "idempotency.markers"], keys(var.extra_tables))

  backup_name = coalesce(try(var.backup.name, null), "${local.name}-backup")
}

module "backup" {
  source = "./modules/backup"
  count  = length(local.backed_up) > 0 ? 1 : 0

  backup = merge(
    { for setting, value in { rules = var.backup.rules } : setting => value if value != null },
    {
      name                     = local.backup_name
      table_arns               = values(local.backed_up)
      lock                     = var.backup.lock
      kms_key_arn              = var.backup.kms_key_arn
      table_kms_key_arns       = local.table_kms_key_arns
      role_arn                 = var.backup.role_arn
      role_path                = var.function_defaults.role_path
      permissions_boundary_arn = local.permissions_boundary_arn
      failure_topic_arns       = local.alarm_topic_arns
    },
  )
}

locals {
  # EventBridge tells of failed jobs, so it has to be let into the topic.
  failed_backup_statements = [
    for name in [local.backup_name] : {
      Sid       = "FailedBackups"
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sns:Publish"
      Resource  = local.topic_arn
      Condition = { ArnLike = { "aws:SourceArn" = "arn:${data.aws_partition.current.partition}:events:${data.aws_region.current.id}:${data.aws_caller_identity.current.account_id}:rule/${name}-failed-*" } }
    } if length(local.backed_up) > 0
  ]
}
