# Who on GitHub may do what: one provider an account, and for each environment a role that plans and one that applies.

locals {
  github_host = "token.actions.githubusercontent.com"
  partition   = data.aws_partition.current.partition
  account     = data.aws_caller_identity.current.account_id
  iam         = "arn:${local.partition}:iam::${local.account}"

  oidc_provider_arn = try(coalesce(var.github.oidc_provider_arn, "${local.iam}:oidc-provider/${local.github_host}"), null)

  # Every ARN that a policy names is made here, from names: the policies can be reviewed in the plan.
  stacks = {
    for environment, stack in try(var.github.environments, {}) : environment => merge(stack, {
      name  = "${stack.name_prefix}-${environment}"
      roles = { for kind in ["plan", "apply"] : kind => "github-${kind}-${stack.name_prefix}-${environment}-${var.aws_region}" }

      boundary_name = "boundary-${stack.name_prefix}-${environment}-${var.aws_region}"
      boundary_arn  = "${local.iam}:policy/boundary-${stack.name_prefix}-${environment}-${var.aws_region}"

      table_arns     = [for pair in setproduct(setunion([var.aws_region], stack.replica_regions), stack.table_names) : "arn:${local.partition}:dynamodb:${pair[0]}:${local.account}:table/${pair[1]}"]
      function_arns  = ["${local.arn.lambda}:function:${stack.name_prefix}-${environment}-*"]
      role_arns      = distinct(["${local.iam}:role${stack.role_path}${stack.name_prefix}-${environment}-*", "${local.iam}:role${stack.role_path}${stack.backup_name}"])
      policy_arns    = ["${local.iam}:policy/${stack.name_prefix}-${environment}-*-access"]
      log_group_arns = ["${local.arn.logs}:log-group:/aws/lambda/${stack.name_prefix}-${environment}-*", "${local.arn.logs}:log-group:/aws/vendedlogs/http-api/${stack.name_prefix}-${environment}", "${local.arn.logs}:log-group:/aws/vendedlogs/http-api/${stack.name_prefix}-${environment}:*"]
      alarm_arns     = concat(["${local.arn.cloudwatch}:alarm:${stack.name_prefix}-${environment}-*"], [for table in stack.table_names : "${local.arn.cloudwatch}:alarm:${table}-*"])
      dashboard_arns = ["arn:${local.partition}:cloudwatch::${local.account}:dashboard/${stack.name_prefix}-${environment}"]
      topic_arns     = ["${local.arn.sns}:${stack.name_prefix}-${environment}-alarms"]
      rule_arns      = distinct(["${local.arn.events}:rule/${stack.name_prefix}-${environment}-*", "${local.arn.events}:rule/${stack.backup_name}-failed-*"])
      parameter_arns = stack.parameter_path == "" ? [] : ["${local.arn.ssm}:parameter${stack.parameter_path}/*"]
      vault_arns     = ["${local.arn.backup}:backup-vault:${stack.backup_name}"]
      # By id; only where the environment has one.
      user_pool_arns  = stack.user_pool ? ["${local.arn["cognito-idp"]}:userpool/*"] : []
      key_alias_arns  = ["${local.arn.kms}:alias/${stack.name_prefix}-${environment}-*"]
      state_arn       = "arn:${local.partition}:s3:::${var.state_bucket_name}/${stack.state_key}"
      own_tags        = { "aws:ResourceTag/Project" = stack.name_prefix, "aws:ResourceTag/Environment" = environment }
      stated_own_tags = { "aws:RequestTag/Project" = stack.name_prefix, "aws:RequestTag/Environment" = environment }
    })
  }

  # By service: the beginning of what the region and account have of it.
  arn = { for service in ["application-autoscaling", "backup", "cloudwatch", "cognito-idp", "ec2", "events", "execute-api", "kms", "lambda", "logs", "secretsmanager", "sns", "sqs", "ssm"] : service => "arn:${local.partition}:${service}:${var.aws_region}:${local.account}" }

  # An id and not a name, which no policy can know; and API Gateway has no account in its ARNs.
  apis_arn = "arn:${local.partition}:apigateway:${var.aws_region}::/apis"
  tags_arn = "arn:${local.partition}:apigateway:${var.aws_region}::/tags"

  # Exactly these subjects of a token. A pull request of a fork gets no token at all.
  subjects = {
    plan  = try(["repo:${var.github.repository}:pull_request", "repo:${var.github.repository}:ref:refs/heads/${var.github.branch}"], [])
    apply = { for environment in keys(local.stacks) : environment => ["repo:${var.github.repository}:environment:${environment}"] }
  }
}

# AWS checks GitHub's certificate by its own authorities: there is no thumbprint to keep.
resource "aws_iam_openid_connect_provider" "github" {
  count = var.github != null && try(var.github.oidc_provider_arn, null) == null ? 1 : 0

  url            = "https://${local.github_host}"
  client_id_list = ["sts.amazonaws.com"]
}

resource "aws_iam_role" "plan" {
  for_each = local.stacks

  name                 = each.value.roles.plan
  description          = "Workflows of ${var.github.repository} plan ${each.value.name}: they read its settings and state, never items"
  max_session_duration = 3600

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "PullRequestsAndBranch"
      Effect    = "Allow"
      Action    = "sts:AssumeRoleWithWebIdentity"
      Principal = { Federated = local.oidc_provider_arn }
      Condition = { StringEquals = { "${local.github_host}:aud" = "sts.amazonaws.com", "${local.github_host}:sub" = local.subjects.plan } }
    }]
  })

  depends_on = [aws_iam_openid_connect_provider.github] # its ARN is made of names; IAM wants it to be there
}

resource "aws_iam_role" "apply" {
  for_each = local.stacks

  name                 = each.value.roles.apply
  description          = "Workflows of ${var.github.repository} apply ${each.value.name}, in GitHub's environment ${each.key}"
  max_session_duration = 3600

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "Environment"
      Effect    = "Allow"
      Action    = "sts:AssumeRoleWithWebIdentity"
      Principal = { Federated = local.oidc_provider_arn }
      Condition = { StringEquals = { "${local.github_host}:aud" = "sts.amazonaws.com", "${local.github_host}:sub" = local.subjects.apply[each.key] } }
    }]
  })

  depends_on = [aws_iam_openid_connect_provider.github]
}

locals {
  # Split by concern: IAM takes 6,144 characters a policy, and ten policies a role.
  role_policies = merge([
    for environment, stack in local.stacks : {
      for policy in concat(
        [for concern, statements in local.read_statements[environment] : { concern = concern, statements = statements, roles = ["apply", "plan"] }],
        [for concern, statements in local.plan_statements[environment] : { concern = concern, statements = statements, roles = ["plan"] }],
        [for concern, statements in local.apply_statements[environment] : { concern = concern, statements = statements, roles = ["apply"] }],
      ) : "${environment}/${policy.concern}" => merge(policy, { environment = environment, name = "github-${policy.concern}-${stack.name}-${var.aws_region}" })
    }
  ]...)

  documents = {
    for key, policy in local.role_policies : key => jsonencode({
      Version = "2012-10-17"
      Statement = [
        for sid, statement in policy.statements : merge(
          { Sid = sid, Effect = "Allow", Action = statement.actions, Resource = statement.resources },
          { for name in ["Condition"] : name => statement.condition if length(statement.condition) > 0 },
        ) if length(statement.resources) > 0
      ]
    })
  }

  attachments = merge([
    for key, policy in local.role_policies : { for role in policy.roles : "${key}/${role}" => { policy = key, role = role, environment = policy.environment } }
  ]...)
}

resource "aws_iam_policy" "role" {
  for_each = local.role_policies

  name        = each.value.name
  description = "What workflows may do to ${local.stacks[each.value.environment].name}: ${each.value.concern}"
  policy      = local.documents[each.key]

  lifecycle {
    precondition {
      condition     = length(local.documents[each.key]) <= 6144
      error_message = "The policy ${each.value.name} has ${length(local.documents[each.key])} characters; IAM takes 6,144. Too many tables or regions for one environment: divide it."
    }
  }
}

resource "aws_iam_role_policy_attachment" "role" {
  for_each = local.attachments

  role       = each.value.role == "plan" ? aws_iam_role.plan[each.value.environment].name : aws_iam_role.apply[each.value.environment].name
  policy_arn = aws_iam_policy.role[each.value.policy].arn
}
