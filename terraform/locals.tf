locals {
  # A system is its own file (`<system>.tf`), a word in this list and one in `systems` below.
  known_systems = toset(["agent_profiles", "agent_registry", "agent_sessions", "chat_sessions", "pet_store"])

  # The systems that are switched on: function, and tables by logical name.
  systems = merge(local.agent_profiles, local.agent_registry, local.agent_sessions, local.chat_sessions, local.pet_store)

  # Of everything; tables get them stated one by one (providers.tf).
  tags = merge({ Project = var.name_prefix, Environment = var.environment, ManagedBy = "terraform" }, var.tags)

  # Every name is made here.
  name = "${var.name_prefix}-${var.environment}"
  names = {
    functions         = { for system in local.known_systems : system => "${local.name}-${replace(system, "_", "-")}" }
    policies          = { for system in local.known_systems : system => "${local.name}-${replace(system, "_", "-")}-access" }
    api               = local.name
    rules             = { chat_sessions_deletions = "${local.name}-chat-sessions-deletions" }
    topic             = "${local.name}-alarms"
    dashboard         = local.name
    idempotency_table = coalesce(var.idempotency.table_name, "${local.name}-idempotency")
  }

  # The chat sessions' users know their table's name as `table_name`.
  chat_sessions_table_name = coalesce(var.table_name, var.chat_sessions.table_name)

  # Every table's name, by system and what it is called there, and the variable that says it.
  table_names = {
    "agent_profiles.profiles"      = { name = var.agent_profiles.profiles_table_name, variable = "agent_profiles.profiles_table_name" }
    "agent_profiles.conversations" = { name = var.agent_profiles.conversations_table_name, variable = "agent_profiles.conversations_table_name" }
    "agent_profiles.match"         = { name = var.agent_profiles.match_table_name, variable = "agent_profiles.match_table_name" }
    "agent_registry.agents"        = { name = var.agent_registry.table_name, variable = "agent_registry.table_name" }
    "agent_sessions.sessions"      = { name = var.agent_sessions.sessions_table_name, variable = "agent_sessions.sessions_table_name" }
    "agent_sessions.messages"      = { name = var.agent_sessions.messages_table_name, variable = "agent_sessions.messages_table_name" }
    "chat_sessions.sessions"       = { name = local.chat_sessions_table_name, variable = "chat_sessions.table_name" }
    "idempotency.markers"          = { name = local.names.idempotency_table, variable = "idempotency.table_name" }
    "pet_store.pets"               = { name = var.pet_store.table_name, variable = "pet_store.table_name" }
  }

  openapi = { for system in local.known_systems : system => "${path.module}/../lambda_src/${system}/openapi.yaml" }

  # As "agent_registry GET /agents".
  contract_routes = flatten([
    for system in local.known_systems : [
      for path, operations in yamldecode(file(local.openapi[system])).paths : [
        for method in keys(operations) : "${system} ${upper(method)} ${path}" if contains(["delete", "get", "head", "options", "patch", "post", "put"], method)
      ]
    ]
  ])

  # What the build left: one entry a function.
  manifest_path = startswith(var.lambda_manifest, "/") ? var.lambda_manifest : "${path.module}/${var.lambda_manifest}"
  packages = {
    for system, function in try(jsondecode(file(local.manifest_path)).functions, {}) : system => {
      zip              = "${dirname(local.manifest_path)}/${function.zip}"
      handler          = function.handler
      source_code_hash = function.source_code_hash
    }
  }

  needed_functions = concat(tolist(var.systems), var.api_jwt.cognito == null ? [] : ["token_claims"])

  persistence = { for system in local.known_systems : system => lookup(var.persistence, system, "dynamodb") }

  # Of every role.
  permissions_boundary_arn = try(coalesce(var.function_defaults.permissions_boundary_arn, var.permissions_boundary_arn), null)

  # How each function runs: the defaults, what its system needs, and what a person says of it.
  function_settings = {
    for system in local.known_systems : system => merge(
      var.function_defaults,
      { permissions_boundary_arn = local.permissions_boundary_arn },
      # Erasing a user's messages takes as long as it may.
      system == "agent_sessions" ? { timeout_seconds = 29 } : {},
      { for setting, value in try(var.functions[system], {}) : setting => value if value != null },
      { pinned_version = lookup(var.pinned_versions, system, null) },
    )
  }

  function_environment = {
    for system in local.known_systems : system => { LOG_LEVEL = local.function_settings[system].log_level, PERSISTENCE = local.persistence[system] }
  }

  # Partitions that are spread over several (docs/scale.md), and what a function is told of them: nothing where one is all.
  shards = {
    for name, stated in {
      CAPABILITY_SHARDS = var.agent_registry.capability_shards
      MATCH_SHARDS      = var.agent_profiles.match_shards
      TENANT_SHARDS     = var.agent_sessions.tenant_shards
      DELETION_SHARDS   = var.chat_sessions.deletion_shards
    } : name => { write = stated.write, read = coalesce(stated.read, stated.write) }
  }
  shard_environment = {
    for name, count in local.shards : name => {
      for variable, shards in { (name) = count.write, "${name}_READ" = count.read } : variable => tostring(shards) if count.read > 1
    }
  }

  alarm_routing = {
    enabled        = var.alarms.enabled
    actions        = local.alarm_topic_arns
    ok_actions     = var.alarms.notify_recovery ? local.alarm_topic_arns : []
    period_seconds = var.alarms.period_seconds
  }
  table_alarms    = merge(var.alarms.tables, local.alarm_routing)
  function_alarms = merge(var.alarms.functions, local.alarm_routing)
  api_alarms      = merge(var.alarms.api, local.alarm_routing)
}
