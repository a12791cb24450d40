mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  pool           = { name = "agents" }
  scopes         = { "agents.read" = "Look", "agents.write" = "Change" }
  token_function = { name = "tokens", alias_name = "live", alias_arn = "arn:aws:lambda:eu-north-1:123456789012:function:tokens:live" }
}

run "callers_have_a_tenant_for_good_and_no_secret" {
  command = plan

  assert {
    condition     = aws_cognito_user_pool_client.callers.generate_secret == false && aws_cognito_user_pool_client.callers.prevent_user_existence_errors == "ENABLED" && aws_cognito_user_pool_client.callers.allowed_oauth_flows_user_pool_client == false
    error_message = "No secret that the state would show, and nobody is told who has an account."
  }

  assert {
    condition     = aws_cognito_user_pool_client.callers.write_attributes == toset(["name"]) && [for attribute in aws_cognito_user_pool.this.schema : attribute.mutable if attribute.name == "tenantId"] == [false]
    error_message = "Nobody moves to another tenant."
  }

  assert {
    condition     = aws_cognito_user_pool.this.admin_create_user_config[0].allow_admin_create_user_only && aws_cognito_user_pool.this.deletion_protection == "ACTIVE"
    error_message = "Nobody signs up, and nobody deletes the pool."
  }

  assert {
    condition     = aws_cognito_user_pool.this.user_pool_tier == "ESSENTIALS" && aws_cognito_user_pool.this.lambda_config[0].pre_token_generation_config[0].lambda_version == "V2_0" && aws_cognito_user_pool.this.lambda_config[0].pre_token_generation_config[0].lambda_arn == var.token_function.alias_arn
    error_message = "The function changes access tokens, which takes Cognito's plan Essentials."
  }

  assert {
    condition     = aws_lambda_permission.tokens.function_name == "tokens" && aws_lambda_permission.tokens.qualifier == "live" && aws_lambda_permission.tokens.principal == "cognito-idp.amazonaws.com"
    error_message = "The pool may call the function's alias."
  }

  assert {
    condition     = keys(aws_cognito_user_group.scope) == ["agents.read", "agents.write"] && toset([for scope in aws_cognito_resource_server.api.scope : scope.scope_name]) == toset(["agents.read", "agents.write"]) && aws_cognito_resource_server.api.identifier == "agents" && output.scope_prefix == "agents/"
    error_message = "A scope and a group each."
  }

  assert {
    condition     = aws_cognito_user_pool_client.callers.access_token_validity == 60 && aws_cognito_user_pool_client.callers.refresh_token_validity == 30 && aws_cognito_user_pool_client.callers.token_validity_units[0].access_token == "minutes" && length(aws_cognito_user_pool_domain.this) == 0
    error_message = "Tokens for an hour, and no page to sign in at."
  }
}

run "with_a_page_to_sign_in_at" {
  command = plan

  variables {
    pool         = { name = "agents", access_token_minutes = 5, refresh_token_days = 1, deletion_protection = false, tags = { Team = "agents" } }
    sign_in_page = { domain_prefix = "agents-dev", callback_urls = ["https://app.example.com/back", "http://localhost:3000/back"], logout_urls = ["https://app.example.com/"] }
  }

  assert {
    condition     = keys(aws_cognito_user_pool_domain.this) == ["agents-dev"] && aws_cognito_user_pool_client.callers.allowed_oauth_flows_user_pool_client && aws_cognito_user_pool_client.callers.allowed_oauth_flows == toset(["code"]) && length(aws_cognito_user_pool_client.callers.callback_urls) == 2
    error_message = "Codes only, never tokens in an address."
  }

  assert {
    condition     = aws_cognito_user_pool_client.callers.access_token_validity == 5 && aws_cognito_user_pool_client.callers.refresh_token_validity == 1 && aws_cognito_user_pool.this.deletion_protection == "INACTIVE" && aws_cognito_user_pool.this.tags.Team == "agents"
    error_message = "As asked for."
  }
}
