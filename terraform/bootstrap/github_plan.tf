# What a plan reads: settings, never items and never values that are secret. An apply reads the same.

locals {
  read_statements = {
    for environment, stack in local.stacks : environment => {
      read-tables = {
        Tables = {
          actions = [
            "dynamodb:DescribeContinuousBackups", "dynamodb:DescribeContributorInsights", "dynamodb:DescribeTable",
            "dynamodb:DescribeTimeToLive", "dynamodb:GetResourcePolicy", "dynamodb:ListTagsOfResource",
          ]
          resources = flatten([for arn in stack.table_arns : [arn, "${arn}/index/*"]])
          condition = {}
        }
      }

      read = {
        Functions = {
          actions = [
            "lambda:GetAlias", "lambda:GetFunction", "lambda:GetFunctionCodeSigningConfig", "lambda:GetFunctionConcurrency",
            "lambda:GetFunctionConfiguration", "lambda:GetPolicy", "lambda:GetProvisionedConcurrencyConfig",
            "lambda:ListAliases", "lambda:ListVersionsByFunction",
          ]
          resources = stack.function_arns
          condition = {}
        }
        Roles = {
          actions   = ["iam:GetRole", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies", "iam:ListRolePolicies"]
          resources = concat(stack.role_arns, [for role in stack.outside_roles : "${local.iam}:role/${role}"])
          condition = {}
        }
        Policies = {
          actions   = ["iam:GetPolicy", "iam:GetPolicyVersion"]
          resources = stack.policy_arns
          condition = {}
        }
        # Its ids are AWS's to give.
        Apis = {
          actions   = ["apigateway:GET"]
          resources = ["${local.apis_arn}/*", "${local.tags_arn}/*"]
          condition = {}
        }
        LogGroups = {
          actions   = ["logs:ListTagsForResource"]
          resources = stack.log_group_arns
          condition = {}
        }
        # These list what there is: CloudWatch asks for the right to all of the region, whatever the filter.
        Lists = {
          actions   = ["cloudwatch:DescribeAlarms", "logs:DescribeLogGroups"]
          resources = ["${local.arn.cloudwatch}:alarm:*", "${local.arn.logs}:log-group:*"]
          condition = {}
        }
        Monitoring = {
          actions   = ["cloudwatch:GetDashboard", "cloudwatch:ListTagsForResource"]
          resources = concat(stack.alarm_arns, stack.dashboard_arns)
          condition = {}
        }
        Topics = {
          actions   = ["sns:GetTopicAttributes", "sns:ListTagsForResource"]
          resources = stack.topic_arns
          condition = {}
        }
        Rules = {
          actions   = ["events:DescribeRule", "events:ListTagsForResource", "events:ListTargetsByRule"]
          resources = stack.rule_arns
          condition = {}
        }
        Parameters = {
          actions   = ["ssm:GetParameter", "ssm:ListTagsForResource"]
          resources = stack.parameter_arns
          condition = {}
        }
        Vaults = {
          actions   = ["backup:DescribeBackupVault", "backup:ListTags"]
          resources = stack.vault_arns
          condition = {}
        }
        # By id.
        BackupPlans = {
          actions   = ["backup:GetBackupPlan", "backup:GetBackupSelection", "backup:ListTags"]
          resources = ["${local.arn.backup}:backup-plan:*"]
          condition = {}
        }
        # By id, and tables may lie under a key that is another's. A key's policy has its say, too.
        Keys = {
          actions   = ["kms:DescribeKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListResourceTags"]
          resources = ["${local.arn.kms}:key/*"]
          condition = {}
        }
        UserPools = {
          actions = [
            "cognito-idp:DescribeResourceServer", "cognito-idp:DescribeUserPool", "cognito-idp:DescribeUserPoolClient",
            "cognito-idp:GetGroup", "cognito-idp:GetUserPoolMfaConfig", "cognito-idp:ListTagsForResource",
          ]
          resources = stack.user_pool_arns
          condition = { StringEquals = stack.own_tags }
        }
        # A domain is asked for by its name; AWS authorises that on everything or on nothing.
        UserPoolDomains = {
          actions   = ["cognito-idp:DescribeUserPoolDomain"]
          resources = stack.user_pool ? ["*"] : []
          condition = {}
        }
        Scaling = {
          actions   = ["application-autoscaling:ListTagsForResource"]
          resources = ["${local.arn["application-autoscaling"]}:scalable-target/*"]
          condition = {}
        }
        # AWS authorises each of these on everything or on nothing.
        Unscoped = {
          actions = [
            "application-autoscaling:DescribeScalableTargets", "application-autoscaling:DescribeScalingPolicies",
            "ec2:DescribePrefixLists", "ec2:DescribeVpcEndpoints", "kms:ListAliases",
            "sns:GetSubscriptionAttributes", "ssm:DescribeParameters",
          ]
          resources = ["*"]
          condition = {}
        }
      }
    }
  }

  plan_statements = {
    for environment, stack in local.stacks : environment => {
      plan = {
        State = {
          actions   = ["s3:GetObject"]
          resources = [stack.state_arn, "${stack.state_arn}.rollbacks.json", "${stack.state_arn}.tflock"]
          condition = {}
        }
        # A plan locks the state: that is all it ever writes.
        Lock = {
          actions   = ["s3:DeleteObject", "s3:PutObject"]
          resources = ["${stack.state_arn}.tflock"]
          condition = {}
        }
        # Without it S3 answers 403 to whoever asks for a state that is yet to be written.
        States = {
          actions   = ["s3:ListBucket"]
          resources = ["arn:${local.partition}:s3:::${var.state_bucket_name}"]
          condition = {}
        }
      }
    }
  }
}
