locals {
  # A system is its own file (`<system>.tf`), a word in this list and one in `systems` below.
  known_systems = toset(["agent_registry"])

  # The systems that are switched on: function, tables by logical name, routes, and the documents for its users.
  systems = merge(local.agent_registry)

  # Every name is made here.
  name = "${var.name_prefix}-${var.environment}"
  names = {
    functions         = { for system in local.known_systems : system => "${local.name}-${replace(system, "_", "-")}" }
    policies          = { for system in local.known_systems : system => "${local.name}-${replace(system, "_", "-")}-access" }
    api               = local.name
    topic             = "${local.name}-alarms"
    dashboard         = local.name
    idempotency_table = coalesce(var.idempotency.table_name, "${local.name}-idempotency")
  }

  openapi = { for system in local.known_systems : system => "${path.module}/../lambda_src/${system}/openapi.yaml" }

  # What the build left: one entry a function.
  manifest_path = startswith(var.lambda_manifest, "/") ? var.lambda_manifest : "${path.module}/${var.lambda_manifest}"
  packages = {
    for system, function in try(jsondecode(file(local.manifest_path)).functions, {}) : system => {
      zip              = "${dirname(local.manifest_path)}/${function.zip}"
      handler          = function.handler
      source_code_hash = function.source_code_hash
    }
  }

  persistence = { for system in local.known_systems : system => lookup(var.persistence, system, "dynamodb") }

  # What all tables have in common, unless a system says otherwise.
  table_defaults = {
    point_in_time_recovery_days = var.enable_pitr ? var.point_in_time_recovery_days : 0
    deletion_protection         = var.deletion_protection
    encryption                  = var.table_encryption
  }

  function_environment = { LOG_LEVEL = var.function_defaults.log_level }

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
