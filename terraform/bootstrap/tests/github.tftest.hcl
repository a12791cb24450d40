mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws", dns_suffix = "amazonaws.com" }
  }

  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }

  mock_resource "aws_iam_policy" {
    defaults = { arn = "arn:aws:iam::123456789012:policy/made" }
  }
}

override_resource {
  target = aws_s3_bucket.state
  values = { id = "my-terraform-state" }
}

variables {
  aws_region        = "eu-north-1"
  state_bucket_name = "my-terraform-state"

  github = {
    repository = "acme/agents"
    environments = {
      dev = {
        name_prefix     = "agent-state"
        table_names     = ["AgentRegistry", "agent-conversations", "agent-profiles", "agent-profiles-match", "agent-state-dev-idempotency", "ai-agent-messages", "ai-agent-sessions", "chat_sessions", "PetStore"]
        replica_regions = ["eu-west-1"]
        parameter_path  = "/agent-state/dev"
        backup_name     = "agent-state-dev-backup"
        outside_roles   = ["reporting"]
        state_key       = "dev/terraform.tfstate"
      }
      prod = {
        name_prefix    = "agent-state"
        table_names    = ["Registry"]
        parameter_path = ""
        role_path      = "/agents/"
        backup_name    = "vaulted"
        state_key      = "prod/terraform.tfstate"
      }
    }
  }
}

run "nothing_without_github" {
  command = plan

  variables {
    github = null
  }

  assert {
    condition     = length(aws_iam_openid_connect_provider.github) + length(aws_iam_role.plan) + length(aws_iam_role.apply) + length(aws_iam_policy.role) + length(aws_iam_policy.boundary) == 0 && output.github_roles == {}
    error_message = "Silent unless a file has [github]."
  }
}

run "who_is_trusted" {
  command = plan

  assert {
    condition     = aws_iam_openid_connect_provider.github[0].url == "https://token.actions.githubusercontent.com" && aws_iam_openid_connect_provider.github[0].client_id_list == toset(["sts.amazonaws.com"])
    error_message = "GitHub's tokens, made for AWS."
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_role.plan["dev"].assume_role_policy).Statement : [statement.Action, statement.Principal, statement.Condition]] == [[
      "sts:AssumeRoleWithWebIdentity",
      { Federated = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com" },
      { StringEquals = {
        "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com"
        "token.actions.githubusercontent.com:sub" = ["repo:acme/agents:pull_request", "repo:acme/agents:ref:refs/heads/main"]
      } },
    ]]
    error_message = "Pull requests and the branch plan: ${aws_iam_role.plan["dev"].assume_role_policy}"
  }

  assert {
    condition = alltrue([for environment in ["dev", "prod"] : jsondecode(aws_iam_role.apply[environment].assume_role_policy).Statement[0].Condition == { StringEquals = {
      "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com"
      "token.actions.githubusercontent.com:sub" = ["repo:acme/agents:environment:${environment}"]
    } }])
    error_message = "A job of the environment applies that environment, and no other job."
  }

  assert {
    condition     = alltrue([for role in concat(values(aws_iam_role.plan), values(aws_iam_role.apply)) : role.max_session_duration == 3600])
    error_message = "For an hour."
  }
}

run "what_the_policies_hold" {
  command = plan

  assert {
    condition     = alltrue([for policy in concat(values(aws_iam_policy.role), values(aws_iam_policy.boundary)) : length(policy.policy) <= 6144])
    error_message = "IAM takes 6,144 characters: ${jsonencode({ for key, policy in aws_iam_policy.role : key => length(policy.policy) })}"
  }

  assert {
    condition     = alltrue([for environment in ["dev", "prod"] : alltrue([for role in ["plan", "apply"] : length([for each in values(aws_iam_role_policy_attachment.role) : each if each.role == "github-${role}-agent-state-${environment}-eu-north-1"]) <= 10])])
    error_message = "IAM attaches ten."
  }

  assert {
    condition     = alltrue(flatten([for policy in concat(values(aws_iam_policy.role), values(aws_iam_policy.boundary)) : [for statement in jsondecode(policy.policy).Statement : [for action in statement.Action : can(regex("^[a-z0-9-]+:[A-Za-z]+$", action))]]]))
    error_message = "Each action by name."
  }

  # Everything that is granted on all: AWS knows no narrower way, or it is a key that is yet to be made.
  assert {
    condition = toset(flatten([for policy in values(aws_iam_policy.role) : [for statement in jsondecode(policy.policy).Statement : statement.Sid if contains(statement.Resource, "*")]])) == toset([
      "AccessLogs", "FunctionNetwork", "NewKeys", "Subscriptions", "Unscoped", "VaultStorage",
    ])
    error_message = "Nothing else is granted on everything."
  }

  assert {
    condition = alltrue(flatten([for key in ["dev/read", "dev/plan"] : [for statement in jsondecode(aws_iam_policy.role[key].policy).Statement : [
      for action in statement.Action : can(regex("^[a-z0-9-]+:(Describe|Get|List)", action)) || action == "apigateway:GET" || statement.Sid == "Lock"
    ]]])) && one([for statement in jsondecode(aws_iam_policy.role["dev/plan"].policy).Statement : statement.Resource if statement.Sid == "Lock"]) == ["arn:aws:s3:::my-terraform-state/dev/terraform.tfstate.tflock"]
    error_message = "A plan reads, and locks."
  }

  assert {
    condition     = length([for key in ["dev/read", "dev/plan"] : key if can(regex("dynamodb:(GetItem|BatchGet|Query|Scan|Export|PartiQL)|secretsmanager|ParametersByPath|iam::123456789012:role/\\*", aws_iam_policy.role[key].policy))]) == 0
    error_message = "Neither items nor secrets."
  }

  assert {
    condition = one([for statement in jsondecode(aws_iam_policy.role["dev/apply-access"].policy).Statement : statement if statement.Sid == "RolesWithinBoundary"]) == {
      Sid       = "RolesWithinBoundary"
      Effect    = "Allow"
      Action    = ["iam:AttachRolePolicy", "iam:CreateRole", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy"]
      Resource  = ["arn:aws:iam::123456789012:role/agent-state-dev-*", "arn:aws:iam::123456789012:role/agent-state-dev-backup"]
      Condition = { StringEquals = { "iam:PermissionsBoundary" = "arn:aws:iam::123456789012:policy/boundary-agent-state-dev-eu-north-1" } }
    }
    error_message = "Roles within the boundary only."
  }

  assert {
    condition     = !can(regex("iam:(DeleteRolePermissionsBoundary|[A-Za-z]*(OpenIDConnect|User|Group))|sts:", join("", [for policy in values(aws_iam_policy.role) : policy.policy])))
    error_message = "No way to take the boundary away, to trust another issuer, to make users, to assume roles."
  }

  # A role's own path, a vault's own name, no parameters, no roles outside.
  assert {
    condition     = alltrue([for statement in jsondecode(aws_iam_policy.role["prod/apply-access"].policy).Statement : statement.Resource == ["arn:aws:iam::123456789012:role/agents/agent-state-prod-*", "arn:aws:iam::123456789012:role/agents/vaulted"] if statement.Sid == "Roles"]) && !strcontains(aws_iam_policy.role["prod/apply-functions"].policy, "ssm:") && !strcontains(aws_iam_policy.role["prod/apply-access"].policy, "OutsideRoles")
    error_message = "As the environment's variables say."
  }

  assert {
    condition     = !can(regex("iam:|sts:|lambda:|s3:|PutParameter", aws_iam_policy.boundary["dev"].policy)) && strcontains(aws_iam_policy.boundary["dev"].policy, "arn:aws:dynamodb:eu-west-1:123456789012:table/AgentRegistry\"")
    error_message = "The boundary holds data of this stack: no way to other rights."
  }
}

run "a_user_pool_where_there_is_one" {
  command = plan

  variables {
    github = {
      repository = "acme/agents"
      environments = {
        dev  = { name_prefix = "agents", table_names = ["Registry"], parameter_path = "", backup_name = "b", state_key = "k", user_pool = true }
        prod = { name_prefix = "agents", table_names = ["Registry"], parameter_path = "", backup_name = "b", state_key = "k" }
      }
    }
  }

  assert {
    condition     = !strcontains(join("", [for key, policy in aws_iam_policy.role : policy.policy if startswith(key, "prod/")]), "cognito-idp:")
    error_message = "Nothing of Cognito for an environment without a user pool."
  }

  assert {
    condition = {
      for statement in jsondecode(aws_iam_policy.role["dev/apply-functions"].policy).Statement : statement.Sid => [statement.Resource, statement.Condition.StringEquals]
      if endswith(statement.Sid, "UserPools")
      } == {
      NewUserPools = [["*"], { "aws:RequestTag/Project" = "agents", "aws:RequestTag/Environment" = "dev" }]
      UserPools    = [["arn:aws:cognito-idp:eu-north-1:123456789012:userpool/*"], { "aws:ResourceTag/Project" = "agents", "aws:ResourceTag/Environment" = "dev" }]
    }
    error_message = "Pools that bear the stack's tags, and no others."
  }

  assert {
    condition     = length(regexall("cognito-idp:(Admin|Create|Delete|Set|Update)", aws_iam_policy.role["dev/read"].policy)) == 0 && strcontains(aws_iam_policy.role["dev/read"].policy, "cognito-idp:DescribeUserPool")
    error_message = "A plan reads the pool, and makes no user."
  }

  assert {
    condition     = alltrue([for policy in values(aws_iam_policy.role) : length(policy.policy) <= 6144])
    error_message = "IAM takes 6,144 characters."
  }
}

run "an_account_that_trusts_github_already" {
  command = plan

  variables {
    github = {
      repository        = "acme/agents"
      branch            = "trunk"
      oidc_provider_arn = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
      environments      = { dev = { name_prefix = "agents", table_names = ["Registry"], parameter_path = "", backup_name = "b", state_key = "k" } }
    }
  }

  assert {
    condition     = length(aws_iam_openid_connect_provider.github) == 0 && strcontains(aws_iam_role.plan["dev"].assume_role_policy, "ref:refs/heads/trunk\"")
    error_message = "The provider is used, and stays another's."
  }
}

run "trust_in_all_is_refused" {
  command = plan

  variables {
    github = {
      repository        = "acme/*"
      branch            = "*"
      oidc_provider_arn = "arn:aws:iam::123456789012:oidc-provider/example.com"
      environments      = { dev = { name_prefix = "agents", table_names = ["*"], parameter_path = "", backup_name = "b", state_key = "k" } }
    }
  }

  expect_failures = [var.github]
}
