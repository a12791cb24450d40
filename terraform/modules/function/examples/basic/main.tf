locals {
  zip = "${path.module}/../../tests/fixtures/function.zip"
}

module "greeter" {
  source = "../.."

  function = {
    name        = "greeter"
    description = "Answers whoever calls"
    environment = { GREETING = "hello" }
  }

  # `make build` leaves all three in a manifest.
  package = {
    zip              = local.zip
    handler          = "handler.handler"
    source_code_hash = filebase64sha256(local.zip)
  }

  # All that it may do, beside writing its log.
  statements = {
    ReadNames = {
      actions   = ["dynamodb:GetItem"]
      resources = [module.names.arn]
    }
  }

  alarms = { duration_percent = 90 }
}

module "names" {
  source = "../../../table"

  table = {
    name                = "GreeterNames"
    hash_key            = { name = "id", type = "S" }
    deletion_protection = false
  }
}
