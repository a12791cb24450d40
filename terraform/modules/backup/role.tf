# What AWS Backup may do: the statements on DynamoDB of AWS's own AWSBackupServiceRolePolicyForBackup, for these tables and
# vaults only. It restores nothing: who restores, passes a role that may write tables.

locals {
  own_role    = var.backup.role_arn == null ? 1 : 0
  copy_vaults = toset(flatten([for rule in var.backup.rules : rule.copy_to_vault_arns]))
  keys        = concat(var.backup.kms_key_arn[*], tolist(var.backup.table_kms_key_arns))

  statements = merge(
    {
      Tables = {
        actions   = ["dynamodb:CreateBackup", "dynamodb:DescribeTable", "dynamodb:ListTagsOfResource", "dynamodb:StartAwsBackupJob"]
        resources = var.backup.table_arns
        condition = {}
      }
      Backups = {
        actions   = ["dynamodb:DeleteBackup", "dynamodb:DescribeBackup"]
        resources = [for arn in var.backup.table_arns : "${arn}/backup/*"]
        condition = {}
      }
      Vaults = {
        actions   = ["backup:CopyIntoBackupVault", "backup:DescribeBackupVault"]
        resources = concat([local.vault_arn], tolist(local.copy_vaults))
        condition = {}
      }
      # A recovery point's id is AWS's to give.
      RecoveryPoints = {
        actions   = ["backup:TagResource"]
        resources = ["arn:${local.partition}:backup:${local.region}:${local.account}:recovery-point:*"]
        condition = {}
      }
    },
    { for sid in ["Copies"] : sid => {
      # AWS authorises this one on everything or on nothing; but only to these vaults.
      actions   = ["backup:CopyFromBackupVault"]
      resources = ["*"]
      condition = { "ForAllValues:ArnEquals" = { "backup:CopyTargets" = sort(tolist(local.copy_vaults)) } }
    } if length(local.copy_vaults) > 0 },
    { for sid in ["Keys"] : sid => {
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = local.keys
      condition = { StringLike = { "kms:ViaService" = ["backup.*.${data.aws_partition.current.dns_suffix}", "dynamodb.*.${data.aws_partition.current.dns_suffix}"] } }
    } if length(local.keys) > 0 },
    { for sid in ["DescribeKeys"] : sid => {
      actions   = ["kms:DescribeKey"]
      resources = local.keys
      condition = {}
    } if length(local.keys) > 0 },
    { for sid in ["GrantKeys"] : sid => {
      actions   = ["kms:CreateGrant"]
      resources = local.keys
      condition = { Bool = { "kms:GrantIsForAWSResource" = "true" } }
    } if length(local.keys) > 0 },
  )
}

resource "aws_iam_role" "this" {
  count = local.own_role

  name                 = var.backup.name
  path                 = var.backup.role_path
  description          = "How AWS Backup reads the tables of ${var.backup.name}"
  permissions_boundary = var.backup.permissions_boundary_arn
  tags                 = var.backup.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "backup.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  count = local.own_role

  name = "backup"
  role = aws_iam_role.this[0].name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      for sid, statement in local.statements : merge(
        { Sid = sid, Effect = "Allow", Action = sort(statement.actions), Resource = sort(statement.resources) },
        { for name in ["Condition"] : name => statement.condition if length(statement.condition) > 0 },
      )
    ]
  })
}
