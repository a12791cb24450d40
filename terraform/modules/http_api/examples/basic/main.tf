module "api" {
  source = "../.."

  api = { name = "example-agents", throttling = { rate_limit = 50, burst_limit = 100 } }

  # One integration for each system; the routes are those of its contract.
  systems = {
    agents = {
      openapi          = "${path.module}/../../tests/fixtures/agents.yaml"
      function_name    = module.function.name
      alias_name       = module.function.alias_name
      alias_invoke_arn = module.function.alias_invoke_arn
    }
  }
}

module "function" {
  source = "../../../function"

  function = { name = "example-agents" }

  package = {
    zip              = local.zip
    handler          = "handler.handler"
    source_code_hash = filebase64sha256(local.zip)
  }
}

locals {
  zip = "${path.module}/../../../function/tests/fixtures/function.zip"
}

output "url" {
  value = module.api.url
}
