data "aws_partition" "current" {}
data "aws_caller_identity" "current" {}
data "aws_region" "current" {}

locals {
  account = data.aws_caller_identity.current.account_id
  root    = "arn:${data.aws_partition.current.partition}:iam::${local.account}:root"

  # `id` and not `name`: it is the region's name in version 5 and in version 6 of the provider.
  through_dynamodb = {
    "kms:CallerAccount" = local.account
    "kms:ViaService"    = "dynamodb.${data.aws_region.current.id}.${data.aws_partition.current.dns_suffix}"
  }
  only_users = { for operator in ["ArnLike"] : operator => { "aws:PrincipalArn" = sort(var.key.user_arns) } if length(var.key.user_arns) > 0 }

  # In a key's policy `*` as resource is that key. Each action by name: `kms:*` would let an administrator read the tables.
  statements = [
    {
      Sid       = "Administration"
      Effect    = "Allow"
      Principal = { AWS = length(var.key.administrator_arns) > 0 ? sort(var.key.administrator_arns) : [local.root] }
      Action = [
        "kms:CancelKeyDeletion",
        "kms:CreateAlias",
        "kms:DeleteAlias",
        "kms:DisableKey",
        "kms:DisableKeyRotation",
        "kms:EnableKey",
        "kms:EnableKeyRotation",
        "kms:PutKeyPolicy",
        "kms:ReplicateKey",
        "kms:RevokeGrant",
        "kms:RotateKeyOnDemand",
        "kms:ScheduleKeyDeletion",
        "kms:TagResource",
        "kms:UntagResource",
        "kms:UpdateAlias",
        "kms:UpdateKeyDescription",
        "kms:UpdatePrimaryRegion",
      ]
      Resource = "*"
    },
    {
      # What there is to know of the key, none of which reads or writes data: IAM decides who may ask, Terraform included.
      Sid       = "Metadata"
      Effect    = "Allow"
      Principal = { AWS = [local.root] }
      Action    = local.metadata
      Resource  = "*"
    },
    {
      Sid       = "MetadataForDynamoDB"
      Effect    = "Allow"
      Principal = { Service = "dynamodb.amazonaws.com" }
      Action    = local.metadata
      Resource  = "*"
    },
    # As with AWS's own aws/dynamodb key: no policy of a role has to name this one, and all of them are known in the plan.
    # The principal can't be the users' ARNs: KMS refuses a policy with a role that is yet to be made.
    {
      Sid       = "UseThroughDynamoDB"
      Effect    = "Allow"
      Principal = { AWS = "*" }
      Action    = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom", "kms:ReEncryptTo"]
      Resource  = "*"
      Condition = merge({ StringEquals = local.through_dynamodb }, local.only_users)
    },
    # Whoever makes a table, or gives one this key, lets DynamoDB use it in the background.
    {
      Sid       = "GrantToDynamoDB"
      Effect    = "Allow"
      Principal = { AWS = "*" }
      Action    = ["kms:CreateGrant"]
      Resource  = "*"
      Condition = merge({ StringEquals = local.through_dynamodb, Bool = { "kms:GrantIsForAWSResource" = "true" } }, local.only_users)
    },
  ]

  metadata = ["kms:DescribeKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListGrants", "kms:ListKeyPolicies", "kms:ListKeyRotations", "kms:ListResourceTags"]
}

resource "aws_kms_key" "this" {
  #checkov:skip=CKV2_AWS_64:the policy is stated below; a scan of the code can't compute it, and the scan of a plan passes
  description             = var.key.description
  enable_key_rotation     = true
  rotation_period_in_days = var.key.rotation_days
  deletion_window_in_days = var.key.deletion_window_days
  multi_region            = var.key.multi_region
  policy                  = jsonencode({ Version = "2012-10-17", Statement = local.statements })
  tags                    = var.key.tags
}

resource "aws_kms_alias" "this" {
  name          = "alias/${var.key.alias}"
  target_key_id = aws_kms_key.this.key_id
}
