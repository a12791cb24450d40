# Least-privilege documents for those who use the table. ARNs are built from the names, not read from the resource:
# so the documents are known in the plan, where people and scanners can read them before anything exists.

data "aws_partition" "current" {}
data "aws_caller_identity" "current" {}
data "aws_region" "current" {}

locals {
  # `id` and not `name`: it is the region's name in version 5 and in version 6 of the provider.
  region     = data.aws_region.current.id
  arn        = "arn:${data.aws_partition.current.partition}:dynamodb:${local.region}:${data.aws_caller_identity.current.account_id}:table/${var.table.name}"
  index_arns = { for name in keys(var.table.indexes) : name => "${local.arn}/index/${name}" }

  actions = {
    read_table  = ["dynamodb:BatchGetItem", "dynamodb:DescribeTable", "dynamodb:GetItem", "dynamodb:Query"]
    read_index  = ["dynamodb:Query"]
    write_table = ["dynamodb:BatchWriteItem", "dynamodb:ConditionCheckItem", "dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]
    # No DeleteTable: tables come and go through Terraform only.
    admin_table = [
      "dynamodb:CreateBackup",
      "dynamodb:DescribeContinuousBackups",
      "dynamodb:DescribeTimeToLive",
      "dynamodb:ExportTableToPointInTime",
      "dynamodb:ListTagsOfResource",
      "dynamodb:Scan",
      "dynamodb:TagResource",
      "dynamodb:UntagResource",
      "dynamodb:UpdateContinuousBackups",
      "dynamodb:UpdateTable",
      "dynamodb:UpdateTimeToLive",
    ]
    admin_index = ["dynamodb:Scan"]

    # DynamoDB uses the customer's key in the name of whoever calls it.
    read_key  = ["kms:Decrypt", "kms:DescribeKey"]
    write_key = ["kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo"]
    admin_key = ["kms:CreateGrant"]
  }

  access_levels = {
    read  = ["read"]
    write = ["read", "write"]
    admin = ["read", "write", "admin"]
  }

  # Sids allow letters and digits only.
  sid = replace(title(replace(var.table.name, "/[^a-zA-Z0-9]+/", " ")), " ", "")

  # One statement each for table, indexes and key, by Sid.
  statements = {
    for level, parts in local.access_levels : level => merge(
      {
        "${local.sid}Table" = {
          actions   = flatten([for part in parts : local.actions["${part}_table"]])
          resources = [local.arn]
          condition = {}
        }
      },
      { for sid in ["${local.sid}Indexes"] : sid => {
        actions   = flatten([for part in parts : lookup(local.actions, "${part}_index", [])])
        resources = values(local.index_arns)
        condition = {}
      } if length(local.index_arns) > 0 },
      local.key_statements[level],
    )
  }

  key_statements = {
    for level, parts in local.access_levels : level => {
      for sid in ["${local.sid}Key"] : sid => {
        actions   = flatten([for part in parts : local.actions["${part}_key"]])
        resources = [var.table.encryption.kms_key_arn]
        # The key serves only calls that come through DynamoDB.
        condition = { StringEquals = { "kms:ViaService" = ["dynamodb.${local.region}.${data.aws_partition.current.dns_suffix}"] } }
      } if local.customer_key
    }
  }

  policy_documents = {
    for level, statements in local.statements : level => jsonencode({
      Version = "2012-10-17"
      Statement = [
        for sid, statement in statements : merge(
          { Sid = sid, Effect = "Allow", Action = sort(statement.actions), Resource = sort(statement.resources) },
          { for name in ["Condition"] : name => statement.condition if length(statement.condition) > 0 },
        )
      ]
    })
  }
}
