# Callers of the API, where the stack keeps them itself: a Cognito user pool, and the function that puts tenant and
# scopes into its tokens.

locals {
  user_pool_on = var.api_jwt.cognito == null ? 0 : 1

  # What a token may let its caller do, by system: `read` and `write`. Of all systems, since a group that goes takes
  # along who was in it.
  token_groups = merge([
    for system in local.known_systems : {
      "${system}.read"  = "Read ${replace(system, "_", " ")}"
      "${system}.write" = "Change ${replace(system, "_", " ")}"
    }
  ]...)

  scope_prefix = var.api_jwt.scope_prefix != null ? var.api_jwt.scope_prefix : local.user_pool_on == 1 ? "${local.name}/" : ""

  token_scopes = {
    for system in local.known_systems : system => merge(
      { for access in ["read", "write"] : access => ["${local.scope_prefix}${system}.${access}"] },
      lookup(var.api_jwt.scopes, system, {}),
    )
  }
}

module "token_claims_function" {
  source = "./modules/function"
  count  = local.user_pool_on

  function = merge(var.function_defaults, {
    name        = "${local.name}-token-claims"
    description = "Puts tenant and scopes into the tokens of the user pool ${local.name}"
    # Cognito waits no longer.
    timeout_seconds          = 5
    permissions_boundary_arn = local.permissions_boundary_arn

    environment = {
      TENANT_CLAIM    = var.token_claims.tenant
      RESOURCE_SERVER = local.name
      GROUPS          = join(" ", keys(local.token_groups))
    }
  })

  package = local.packages["token_claims"]
  alarms  = local.function_alarms
}

module "user_pool" {
  source = "./modules/user_pool"
  count  = local.user_pool_on

  pool = {
    name                 = local.name
    access_token_minutes = var.api_jwt.cognito.access_token_minutes
    refresh_token_days   = var.api_jwt.cognito.refresh_token_days
    deletion_protection  = var.deletion_protection
  }

  scopes       = local.token_groups
  sign_in_page = var.api_jwt.cognito.sign_in_page

  token_function = {
    name       = module.token_claims_function[0].name
    alias_name = module.token_claims_function[0].alias_name
    alias_arn  = module.token_claims_function[0].alias_arn
  }
}

locals {
  # Whose tokens are good; null where none are asked for.
  jwt = var.api_auth != "jwt" ? null : {
    issuer    = one(concat(module.user_pool[*].issuer, var.api_jwt.issuer[*]))
    audiences = setunion(var.api_jwt.audiences, module.user_pool[*].client_id)
  }
}
