data "aws_partition" "current" {}
data "aws_caller_identity" "current" {}
data "aws_region" "current" {}

locals {
  # `id` and not `name`: it is the region's name in version 5 and in version 6 of the provider.
  region    = data.aws_region.current.id
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  # Built from the name to be known in the plan, as the role's policy is.
  vault_arn = "arn:${local.partition}:backup:${local.region}:${local.account}:backup-vault:${var.backup.name}"
}

resource "aws_backup_vault" "this" {
  #checkov:skip=CKV_AWS_166:the vault's key is the caller's choice (kms_key_arn); without one, the account's aws/backup key encrypts it
  name        = var.backup.name
  kms_key_arn = var.backup.kms_key_arn
  tags        = var.backup.tags
}

resource "aws_backup_vault_lock_configuration" "this" {
  count = var.backup.lock == null ? 0 : 1

  backup_vault_name   = aws_backup_vault.this.name
  min_retention_days  = var.backup.lock.min_retention_days
  max_retention_days  = var.backup.lock.max_retention_days
  changeable_for_days = var.backup.lock.changeable_for_days
}
