provider "aws" {
  region              = var.aws_region
  allowed_account_ids = var.aws_account_id[*]

  default_tags {
    tags = merge({ Purpose = "terraform-state", ManagedBy = "terraform" }, var.tags)
  }
}

data "aws_partition" "current" {}
data "aws_caller_identity" "current" {}
