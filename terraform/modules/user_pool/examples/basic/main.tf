locals {
  zip = "${path.module}/../../../function/tests/fixtures/function.zip"
}

module "token_claims" {
  source = "../../../function"

  function = {
    name        = "invoices-token-claims"
    description = "Puts tenant and scopes into tokens"
  }

  package = {
    zip              = local.zip
    handler          = "handler.handler"
    source_code_hash = filebase64sha256(local.zip)
  }
}

module "user_pool" {
  source = "../.."

  pool = {
    name                = "invoices"
    deletion_protection = false
  }

  scopes = {
    "invoices.read"  = "Look at invoices"
    "invoices.write" = "Make invoices"
  }

  token_function = {
    name       = module.token_claims.name
    alias_name = module.token_claims.alias_name
    alias_arn  = module.token_claims.alias_arn
  }
}
