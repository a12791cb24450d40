provider "aws" {
  region              = var.aws_region
  allowed_account_ids = var.aws_account_id[*]

  default_tags {
    tags = local.tags
  }
}

# For tables, which state all their tags: one that is taken over may keep just those that it has (own_tags_only), and a
# provider's default tags know no exception.
provider "aws" {
  alias               = "tables"
  region              = var.aws_region
  allowed_account_ids = var.aws_account_id[*]
}

data "aws_partition" "current" {}
data "aws_caller_identity" "current" {}
data "aws_region" "current" {}
