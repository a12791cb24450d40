provider "aws" {
  region              = var.aws_region
  allowed_account_ids = var.aws_account_id[*]

  default_tags {
    tags = merge({ Project = var.name_prefix, Environment = var.environment, ManagedBy = "terraform" }, var.tags)
  }
}

data "aws_partition" "current" {}
data "aws_caller_identity" "current" {}
data "aws_region" "current" {}
