resource "aws_cognito_user_pool" "this" {
  name                = var.pool.name
  deletion_protection = var.pool.deletion_protection ? "ACTIVE" : "INACTIVE"
  # From this plan on a function may change access tokens.
  user_pool_tier = "ESSENTIALS"
  tags           = var.pool.tags

  admin_create_user_config {
    # Nobody signs up: who makes a user says which tenant it belongs to.
    allow_admin_create_user_only = true
  }

  account_recovery_setting {
    recovery_mechanism {
      name     = "admin_only"
      priority = 1
    }
  }

  password_policy {
    minimum_length                   = 16
    require_lowercase                = false
    require_numbers                  = false
    require_symbols                  = false
    require_uppercase                = false
    temporary_password_validity_days = 7
  }

  username_configuration {
    case_sensitive = false
  }

  # Given once, when the user is made; neither the user nor anybody else can change it.
  schema {
    name                = "tenantId"
    attribute_data_type = "String"
    mutable             = false

    string_attribute_constraints {
      min_length = "1"
      max_length = "256"
    }
  }

  lambda_config {
    pre_token_generation_config {
      lambda_arn     = var.token_function.alias_arn
      lambda_version = "V2_0"
    }
  }
}

resource "aws_lambda_permission" "tokens" {
  statement_id  = "user-pool-${var.pool.name}"
  action        = "lambda:InvokeFunction"
  function_name = var.token_function.name
  qualifier     = var.token_function.alias_name
  principal     = "cognito-idp.amazonaws.com"
  source_arn    = aws_cognito_user_pool.this.arn
}

# Its identifier is the first part of every scope.
resource "aws_cognito_resource_server" "api" {
  identifier   = var.pool.name
  name         = var.pool.name
  user_pool_id = aws_cognito_user_pool.this.id

  dynamic "scope" {
    for_each = var.scopes

    content {
      scope_name        = scope.key
      scope_description = scope.value
    }
  }
}

# Who is in a scope's group has that scope.
resource "aws_cognito_user_group" "scope" {
  for_each = var.scopes

  name         = each.key
  description  = each.value
  user_pool_id = aws_cognito_user_pool.this.id
}

resource "aws_cognito_user_pool_client" "callers" {
  name         = "callers"
  user_pool_id = aws_cognito_user_pool.this.id
  # Terraform would keep a secret in the state, readable. Callers have passwords, which it never sees.
  generate_secret               = false
  explicit_auth_flows           = ["ALLOW_REFRESH_TOKEN_AUTH", "ALLOW_USER_PASSWORD_AUTH", "ALLOW_USER_SRP_AUTH"]
  prevent_user_existence_errors = "ENABLED"
  enable_token_revocation       = true

  # Without a list Cognito lets users write all their attributes.
  read_attributes  = ["custom:tenantId", "name"]
  write_attributes = ["name"]

  access_token_validity  = var.pool.access_token_minutes
  id_token_validity      = var.pool.access_token_minutes
  refresh_token_validity = var.pool.refresh_token_days

  token_validity_units {
    access_token  = "minutes"
    id_token      = "minutes"
    refresh_token = "days"
  }

  supported_identity_providers         = ["COGNITO"]
  allowed_oauth_flows_user_pool_client = var.sign_in_page != null
  allowed_oauth_flows                  = var.sign_in_page == null ? [] : ["code"]
  allowed_oauth_scopes                 = var.sign_in_page == null ? [] : concat(["openid"], aws_cognito_resource_server.api.scope_identifiers)
  callback_urls                        = try(var.sign_in_page.callback_urls, [])
  logout_urls                          = try(var.sign_in_page.logout_urls, [])
}

resource "aws_cognito_user_pool_domain" "this" {
  for_each = toset(var.sign_in_page[*].domain_prefix)

  domain       = each.key
  user_pool_id = aws_cognito_user_pool.this.id
}
