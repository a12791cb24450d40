output "api" {
  description = "The HTTP API: its id, its URL and how callers are authorised (`jwt`: whose tokens are good, and by route which scopes they need); null when every system is off."
  value       = local.api
}

output "systems" {
  description = "What was made, by system. `policy_documents` (JSON) let other roles use its tables; review them before granting anything."
  value = {
    for name, system in local.systems : name => {
      function_name    = system.function.name
      function_arn     = system.function.arn
      alias_name       = system.function.alias_name
      alias_arn        = system.function.alias_arn
      function_version = system.function.version
      log_group_name   = system.function.log_group_name
      role_name        = system.function.role_name
      role_arn         = system.function.role_arn
      persistence      = local.persistence[name]
      tables           = { for logical, table in system.tables : logical => { name = table.name, arn = table.arn } }
      policy_documents = local.policy_documents[name]
      routes           = module.http_api[0].routes[name]
    }
  }
}

output "extra_tables" {
  description = "ARNs of the tables that belong to no system, by name; null without any."
  value       = length(module.extra_table) == 0 ? null : { for name, table in module.extra_table : name => table.arn }
}

output "parameters" {
  description = "Names of the SSM parameters that publish what was made, by what they hold, for example `agent_registry/tables/agents`."
  value       = { for key, parameter in aws_ssm_parameter.published : key => parameter.name }
}

output "reply" {
  description = "Where the agent sessions' replies come from: backend, URL, and what holds the key (never the key itself); null when that system is off."
  value = one([
    for system in setintersection(var.systems, ["agent_sessions"]) : {
      backend            = var.agent_sessions.reply.backend
      url                = var.agent_sessions.reply.url
      key_secret_arn     = var.agent_sessions.reply.key_secret_arn
      key_parameter_name = var.agent_sessions.reply.key_parameter_name
    }
  ])
}

output "shards" {
  description = "Over how many partitions each system's function spreads what would be too much for one (`write`), and how many it reads; whoever else reads the indexes has to read as many (docs/scale.md). Null for a system that is off, and without shards of tenants."
  value = {
    agent_registry = local.agent_registry_on == 1 ? local.shards.CAPABILITY_SHARDS : null
    agent_profiles = local.agent_profiles_on == 1 ? local.shards.MATCH_SHARDS : null
    agent_sessions = local.agent_sessions_on == 1 && var.agent_sessions.tenant_shards.stage != "off" ? local.shards.TENANT_SHARDS : null
    chat_sessions  = local.chat_sessions_on == 1 ? local.shards.DELETION_SHARDS : null
  }
}

output "alarm_topic_arn" {
  description = "The SNS topic that alarms go to; null without alarms."
  value       = one(local.alarm_topic_arns)
}

output "verification" {
  description = "What verification checks after an apply: where things are, what they are declared to be, and the budgets."
  value = {
    region       = var.aws_region
    api          = local.api
    user_pool    = local.user_pool
    token_claims = var.token_claims
    budgets      = var.budgets
    systems = {
      for name, system in local.systems : name => {
        function_name    = system.function.name
        alias_name       = system.function.alias_name
        function_version = system.function.version
        code_sha256      = system.function.code_sha256
        log_group_name   = system.function.log_group_name
        persistence      = local.persistence[name]
        tables           = { for logical, table in system.tables : logical => table.declared }
      }
    }
  }
}

locals {
  api = one([
    for api in module.http_api : {
      id   = api.id
      url  = api.url
      auth = var.api_auth
      jwt = local.jwt == null ? null : {
        issuer    = local.jwt.issuer
        audiences = sort(local.jwt.audiences)
        scopes    = api.scopes
      }
    }
  ])

  user_pool = one([
    for pool in module.user_pool : {
      id           = pool.id
      issuer       = pool.issuer
      client_id    = pool.client_id
      scope_prefix = pool.scope_prefix
      groups       = keys(local.token_groups)
      domain       = try("https://${var.api_jwt.cognito.sign_in_page.domain_prefix}.auth.${data.aws_region.current.id}.amazoncognito.com", null)
    }
  ])
}

output "user_pool" {
  description = "The user pool of the API's callers: what signs them in, and the groups that give scopes; null without one."
  value       = local.user_pool
}

output "backup" {
  description = "The backups' vault and the ids of plan and role; null without backups."
  value       = one([for made in module.backup : { vault_name = made.vault_name, vault_arn = made.vault_arn, plan_id = made.plan_id, role_arn = made.role_arn }])
}

output "table_kms_key_arn" {
  description = "The key that encrypts the tables; null where AWS's own does."
  value       = local.table_encryption.kms_key_arn
}

output "dynamodb_vpc_endpoint" {
  description = "The endpoint to DynamoDB: its id, and the prefix list for egress rules of security groups; null without one."
  value       = one([for made in module.dynamodb_vpc_endpoint : { id = made.id, prefix_list_id = made.prefix_list_id }])
}
