# What an apply changes, and what the verification after it does. Only what bears the stack's names; where AWS gives ids
# instead of names, what bears its tags; and where that can't be told either, the comment says so.

locals {
  apply_statements = {
    for environment, stack in local.stacks : environment => {
      apply-tables = {
        # Verification reads back what it wrote through the API, and takes away what the API doesn't.
        Tables = {
          actions = [
            "dynamodb:CreateTable", "dynamodb:DeleteItem", "dynamodb:DeleteResourcePolicy", "dynamodb:DeleteTable",
            "dynamodb:GetItem", "dynamodb:PutResourcePolicy", "dynamodb:Query", "dynamodb:TagResource",
            "dynamodb:UntagResource", "dynamodb:UpdateContinuousBackups", "dynamodb:UpdateContributorInsights",
            "dynamodb:UpdateItem", "dynamodb:UpdateTable", "dynamodb:UpdateTimeToLive",
          ]
          resources = flatten([for arn in stack.table_arns : [arn, "${arn}/index/*"]])
          condition = {}
        }
        # A replica is filled in the name of whoever makes it.
        Replicas = {
          actions = [
            "dynamodb:BatchWriteItem", "dynamodb:CreateTableReplica", "dynamodb:DeleteTableReplica", "dynamodb:PutItem",
            "dynamodb:Scan",
          ]
          resources = length(stack.replica_regions) > 0 ? stack.table_arns : []
          condition = {}
        }
        # Each table and index that is scaled has a target with an id of its own.
        Scaling = {
          actions = [
            "application-autoscaling:DeleteScalingPolicy", "application-autoscaling:DeregisterScalableTarget",
            "application-autoscaling:PutScalingPolicy", "application-autoscaling:RegisterScalableTarget",
            "application-autoscaling:TagResource", "application-autoscaling:UntagResource",
          ]
          resources = ["${local.arn["application-autoscaling"]}:scalable-target/*"]
          condition = { StringEqualsIfExists = { "application-autoscaling:service-namespace" = "dynamodb" } }
        }
        ScalingAlarms = {
          actions   = ["cloudwatch:DeleteAlarms", "cloudwatch:PutMetricAlarm"]
          resources = [for table in stack.table_names : "${local.arn.cloudwatch}:alarm:TargetTracking-table/${table}*"]
          condition = {}
        }
      }

      apply-backups = {
        Vaults = {
          actions = [
            "backup:CreateBackupVault", "backup:DeleteBackupVault", "backup:DeleteBackupVaultLockConfiguration",
            "backup:PutBackupVaultLockConfiguration", "backup:TagResource", "backup:UntagResource",
          ]
          resources = stack.vault_arns
          condition = {}
        }
        # By id. A new one has the stack's tags; the others must.
        NewBackupPlans = {
          actions   = ["backup:CreateBackupPlan", "backup:TagResource"]
          resources = ["${local.arn.backup}:backup-plan:*"]
          condition = { StringEquals = stack.stated_own_tags }
        }
        BackupPlans = {
          actions = [
            "backup:CreateBackupSelection", "backup:DeleteBackupPlan", "backup:DeleteBackupSelection", "backup:TagResource",
            "backup:UntagResource", "backup:UpdateBackupPlan",
          ]
          resources = ["${local.arn.backup}:backup-plan:*"]
          condition = { StringEquals = stack.own_tags }
        }
        # Making a vault takes this; AWS authorises it on everything or on nothing.
        VaultStorage = {
          actions   = ["backup-storage:MountCapsule"]
          resources = ["*"]
          condition = {}
        }
        # A new key has no ARN yet; it is made with the stack's tags, and those say later which keys are the stack's.
        NewKeys = {
          actions   = ["kms:CreateKey", "kms:TagResource"]
          resources = ["*"]
          condition = { StringEquals = stack.stated_own_tags, StringEqualsIfExists = stack.own_tags }
        }
        Keys = {
          actions = [
            "kms:CreateAlias", "kms:DeleteAlias", "kms:EnableKeyRotation", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion",
            "kms:UntagResource", "kms:UpdateKeyDescription",
          ]
          resources = ["${local.arn.kms}:key/*"]
          condition = { StringEquals = stack.own_tags }
        }
        KeyAliases = {
          actions   = ["kms:CreateAlias", "kms:DeleteAlias"]
          resources = stack.key_alias_arns
          condition = {}
        }
        # Whoever makes a table or a vault under a key lets the service use it; the key's policy has its say, too.
        KeysInUse = {
          actions   = ["kms:CreateGrant", "kms:Decrypt", "kms:GenerateDataKey", "kms:RetireGrant"]
          resources = ["${local.arn.kms}:key/*"]
          condition = { StringLike = { "kms:ViaService" = ["backup.*", "dynamodb.*"] } }
        }
      }

      apply-functions = {
        Functions = {
          actions = [
            "lambda:AddPermission", "lambda:CreateAlias", "lambda:CreateFunction", "lambda:DeleteAlias", "lambda:DeleteFunction",
            "lambda:DeleteFunctionCodeSigningConfig", "lambda:DeleteFunctionConcurrency",
            "lambda:DeleteProvisionedConcurrencyConfig", "lambda:GetFunctionConcurrency", "lambda:InvokeFunction",
            "lambda:ListAliases", "lambda:PublishVersion",
            "lambda:PutFunctionCodeSigningConfig", "lambda:PutFunctionConcurrency", "lambda:PutProvisionedConcurrencyConfig",
            "lambda:RemovePermission", "lambda:TagResource", "lambda:UntagResource", "lambda:UpdateAlias",
            "lambda:UpdateFunctionCode", "lambda:UpdateFunctionConfiguration",
          ]
          resources = stack.function_arns
          condition = {}
        }
        LogGroups = {
          actions = [
            "logs:AssociateKmsKey", "logs:CreateLogGroup", "logs:DeleteLogGroup", "logs:DeleteRetentionPolicy",
            "logs:DisassociateKmsKey", "logs:FilterLogEvents", "logs:PutRetentionPolicy", "logs:TagResource", "logs:UntagResource",
          ]
          resources = stack.log_group_arns
          condition = {}
        }
        # API Gateway sets up an API's access log in the name of whoever asks for it, by these; none has a resource.
        AccessLogs = {
          actions = [
            "logs:CreateLogDelivery", "logs:DeleteLogDelivery", "logs:DescribeResourcePolicies", "logs:GetLogDelivery",
            "logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:UpdateLogDelivery",
          ]
          resources = ["*"]
          condition = {}
        }
        # An API's id is AWS's to give, and its routes and integrations bear no tags: all HTTP APIs of the region.
        Apis = {
          actions   = ["apigateway:DELETE", "apigateway:PATCH", "apigateway:POST"]
          resources = [local.apis_arn, "${local.apis_arn}/*", "${local.tags_arn}/*"]
          condition = {}
        }
        # For the same reason; what these calls may do, the functions decide.
        Calls = {
          actions   = ["execute-api:Invoke"]
          resources = ["${local.arn["execute-api"]}:*"]
          condition = {}
        }
        Monitoring = {
          actions = [
            "cloudwatch:DeleteAlarms", "cloudwatch:DeleteDashboards", "cloudwatch:PutDashboard", "cloudwatch:PutMetricAlarm",
            "cloudwatch:TagResource", "cloudwatch:UntagResource",
          ]
          resources = concat(stack.alarm_arns, stack.dashboard_arns)
          condition = {}
        }
        Topics = {
          actions   = ["sns:CreateTopic", "sns:DeleteTopic", "sns:SetTopicAttributes", "sns:Subscribe", "sns:TagResource", "sns:UntagResource"]
          resources = stack.topic_arns
          condition = {}
        }
        # AWS authorises these two on everything or on nothing.
        Subscriptions = {
          actions   = ["sns:SetSubscriptionAttributes", "sns:Unsubscribe"]
          resources = ["*"]
          condition = {}
        }
        Rules = {
          actions   = ["events:DeleteRule", "events:PutRule", "events:PutTargets", "events:RemoveTargets", "events:TagResource", "events:UntagResource"]
          resources = stack.rule_arns
          condition = {}
        }
        # A new pool has no ARN yet; it is made with the stack's tags, and those say later which pools are the stack's.
        NewUserPools = {
          actions   = ["cognito-idp:CreateUserPool", "cognito-idp:TagResource"]
          resources = stack.user_pool ? ["*"] : []
          condition = { StringEquals = stack.stated_own_tags, StringEqualsIfExists = stack.own_tags }
        }
        # Verification signs in as a user that it makes and deletes.
        UserPools = {
          actions = [
            "cognito-idp:AdminAddUserToGroup", "cognito-idp:AdminCreateUser", "cognito-idp:AdminDeleteUser",
            "cognito-idp:AdminSetUserPassword", "cognito-idp:CreateGroup", "cognito-idp:CreateResourceServer",
            "cognito-idp:CreateUserPoolClient", "cognito-idp:CreateUserPoolDomain", "cognito-idp:DeleteGroup",
            "cognito-idp:DeleteResourceServer", "cognito-idp:DeleteUserPool", "cognito-idp:DeleteUserPoolClient",
            "cognito-idp:DeleteUserPoolDomain", "cognito-idp:SetUserPoolMfaConfig", "cognito-idp:UntagResource",
            "cognito-idp:UpdateGroup", "cognito-idp:UpdateResourceServer", "cognito-idp:UpdateUserPool",
            "cognito-idp:UpdateUserPoolClient", "cognito-idp:UpdateUserPoolDomain",
          ]
          resources = stack.user_pool_arns
          condition = { StringEquals = stack.own_tags }
        }
        Parameters = {
          actions   = ["ssm:AddTagsToResource", "ssm:DeleteParameter", "ssm:PutParameter", "ssm:RemoveTagsFromResource"]
          resources = stack.parameter_arns
          condition = {}
        }
      }

      # The three ways to more rights are closed: a role is made and given policies within the boundary only; the boundary,
      # the provider and GitHub's own roles bear names that nothing here matches; and a role is passed to a service only.
      apply-access = {
        RolesWithinBoundary = {
          actions   = ["iam:AttachRolePolicy", "iam:CreateRole", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy"]
          resources = stack.role_arns
          condition = { StringEquals = { "iam:PermissionsBoundary" = stack.boundary_arn } }
        }
        # These take away, or say who may use what the boundary bounds.
        Roles = {
          actions = [
            "iam:DeleteRole", "iam:DeleteRolePolicy", "iam:DetachRolePolicy", "iam:ListInstanceProfilesForRole", "iam:TagRole",
            "iam:UntagRole", "iam:UpdateAssumeRolePolicy", "iam:UpdateRoleDescription",
          ]
          resources = stack.role_arns
          condition = {}
        }
        PassRoles = {
          actions   = ["iam:PassRole"]
          resources = stack.role_arns
          condition = { StringEquals = { "iam:PassedToService" = ["backup.amazonaws.com", "lambda.amazonaws.com"] } }
        }
        Policies = {
          actions   = ["iam:CreatePolicy", "iam:CreatePolicyVersion", "iam:DeletePolicy", "iam:DeletePolicyVersion", "iam:ListPolicyVersions", "iam:TagPolicy", "iam:UntagPolicy"]
          resources = stack.policy_arns
          condition = {}
        }
        # Roles outside the stack that the environment's file names have no boundary of ours, and get these policies only.
        OutsideRoles = {
          actions   = ["iam:AttachRolePolicy", "iam:DetachRolePolicy"]
          resources = [for role in stack.outside_roles : "${local.iam}:role/${role}"]
          condition = { ArnLike = { "iam:PolicyARN" = stack.policy_arns } }
        }
        # What AWS makes for itself, once an account.
        ServiceLinkedRoles = {
          actions   = ["iam:CreateServiceLinkedRole"]
          resources = [for service in local.linked_services : "${local.iam}:role/aws-service-role/${service}/*"]
          condition = { StringEquals = { "iam:AWSServiceName" = local.linked_services } }
        }
        State = {
          actions   = ["s3:GetObject", "s3:PutObject"]
          resources = [stack.state_arn, "${stack.state_arn}.rollbacks.json", "${stack.state_arn}.tflock"]
          condition = {}
        }
        # Never the state itself.
        Lock = {
          actions   = ["s3:DeleteObject"]
          resources = ["${stack.state_arn}.rollbacks.json", "${stack.state_arn}.tflock"]
          condition = {}
        }
        States = {
          actions   = ["s3:ListBucket"]
          resources = ["arn:${local.partition}:s3:::${var.state_bucket_name}"]
          condition = {}
        }
        # By id. A new one has the stack's tags; the others must.
        NewEndpoints = {
          actions   = ["ec2:CreateTags", "ec2:CreateVpcEndpoint"]
          resources = ["${local.arn.ec2}:vpc-endpoint/*"]
          condition = { StringEquals = stack.stated_own_tags }
        }
        Endpoints = {
          actions   = ["ec2:CreateTags", "ec2:DeleteTags", "ec2:DeleteVpcEndpoints", "ec2:ModifyVpcEndpoint"]
          resources = ["${local.arn.ec2}:vpc-endpoint/*"]
          condition = { StringEquals = stack.own_tags }
        }
        # The endpoint becomes a route of them: which ones is the variable's to say, and they bear others' tags.
        EndpointNetwork = {
          actions   = ["ec2:CreateVpcEndpoint", "ec2:ModifyVpcEndpoint"]
          resources = ["${local.arn.ec2}:route-table/*", "${local.arn.ec2}:vpc/*"]
          condition = {}
        }
        # Lambda looks at the network of a function in the name of whoever sets it; none has a resource.
        FunctionNetwork = {
          actions   = ["ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs"]
          resources = ["*"]
          condition = {}
        }
      }
    }
  }

  # Autoscaling of tables, replicas, contributor insights, HTTP APIs, backups.
  linked_services = [
    "backup.amazonaws.com", "contributorinsights.dynamodb.amazonaws.com", "dynamodb.application-autoscaling.amazonaws.com",
    "ops.apigateway.amazonaws.com", "replication.dynamodb.amazonaws.com",
  ]
}
