# The tables' own key, where one is asked for.

module "table_key" {
  source = "./modules/kms_key"
  count  = var.table_encryption.create_kms_key == null ? 0 : 1

  key = merge(var.table_encryption.create_kms_key, {
    alias       = "${local.name}-tables"
    description = "Encrypts the tables of ${local.name}"
    # Named users are those beside the stack's own; without any, DynamoDB decides.
    user_arns = length(var.table_encryption.create_kms_key.user_arns) == 0 ? [] : concat(
      tolist(var.table_encryption.create_kms_key.user_arns),
      [for system in var.systems : "${local.role_arn_prefix}${var.function_defaults.role_path}${local.names.functions[system]}"],
      [for backup in var.backup[*] : coalesce(backup.role_arn, "${local.role_arn_prefix}${var.function_defaults.role_path}${local.backup_name}")],
    )
  })
}

locals {
  # Known before the roles are made.
  role_arn_prefix = "arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:role"

  table_encryption = {
    type           = var.table_encryption.type
    kms_key_arn    = one(concat(module.table_key[*].arn, var.table_encryption.kms_key_arn[*]))
    granted_by_key = var.table_encryption.create_kms_key != null
  }
}
