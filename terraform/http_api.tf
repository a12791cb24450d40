# One HTTP API for all systems; the routes are those of their openapi.yaml.

module "http_api" {
  source = "./modules/http_api"
  count  = length(var.systems) > 0 ? 1 : 0

  api = {
    name               = local.names.api
    description        = "State of AI agents: ${join(", ", sort(var.systems))}"
    authorization      = var.api_auth
    jwt                = local.jwt
    throttling         = var.api_throttling
    log_retention_days = var.function_defaults.log_retention_days
    log_kms_key_arn    = var.function_defaults.log_kms_key_arn
  }

  systems = {
    for name, system in local.systems : name => {
      openapi          = local.openapi[name]
      function_name    = system.function.name
      alias_name       = system.function.alias_name
      alias_invoke_arn = system.function.alias_invoke_arn
      scopes           = local.token_scopes[name]
    }
  }

  alarms = local.api_alarms
}
