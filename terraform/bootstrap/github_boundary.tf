# The most that any role of the stack may ever have, whatever its policies say: nothing of IAM, no other role, no function.

locals {
  boundary_statements = {
    for environment, stack in local.stacks : environment => {
      # With their indexes and backups.
      Tables = {
        actions = [
          "dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", "dynamodb:ConditionCheckItem", "dynamodb:CreateBackup",
          "dynamodb:DeleteBackup", "dynamodb:DeleteItem", "dynamodb:DescribeBackup", "dynamodb:DescribeTable", "dynamodb:GetItem",
          "dynamodb:ListTagsOfResource", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:Scan", "dynamodb:StartAwsBackupJob",
          "dynamodb:UpdateItem",
        ]
        resources = flatten([for arn in stack.table_arns : [arn, "${arn}/*"]])
        condition = {}
      }
      # Copies may go to vaults of other regions and accounts.
      Vaults = {
        actions   = ["backup:CopyIntoBackupVault", "backup:DescribeBackupVault", "backup:TagResource"]
        resources = ["arn:${local.partition}:backup:*:*:backup-vault:*", "${local.arn.backup}:recovery-point:*"]
        condition = {}
      }
      Logs = {
        actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        resources = ["${local.arn.logs}:log-group:/aws/lambda/${stack.name}-*"]
        condition = {}
      }
      DeadLetters = {
        actions   = ["sns:Publish", "sqs:SendMessage"]
        resources = ["${local.arn.sns}:*", "${local.arn.sqs}:*"]
        condition = {}
      }
      # The key of the agent server: one that a variable names, in a role's own policy.
      Secrets = {
        actions   = ["secretsmanager:GetSecretValue", "ssm:GetParameter"]
        resources = ["${local.arn.secretsmanager}:secret:*", "${local.arn.ssm}:parameter/*"]
        condition = {}
      }
      Keys = {
        actions   = ["kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo"]
        resources = ["arn:${local.partition}:kms:*:*:key/*"]
        condition = {}
      }
      # Traces, the network of a function in a VPC, copies out of a vault: AWS authorises most of these on everything or on
      # nothing; where a role has them, its own policy says on what.
      Unscoped = {
        actions = [
          "backup:CopyFromBackupVault", "ec2:AssignPrivateIpAddresses", "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface",
          "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "ec2:UnassignPrivateIpAddresses",
          "xray:PutTelemetryRecords", "xray:PutTraceSegments",
        ]
        resources = ["*"]
        condition = {}
      }
    }
  }
}

resource "aws_iam_policy" "boundary" {
  for_each = local.stacks

  name        = each.value.boundary_name
  description = "The most that a role of ${each.value.name} may have"

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      for sid, statement in local.boundary_statements[each.key] : { Sid = sid, Effect = "Allow", Action = statement.actions, Resource = statement.resources }
    ]
  })
}
