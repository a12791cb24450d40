# Pets with consecutive ids, for people and for a chatbot's tools.

locals {
  pet_store_on             = contains(var.systems, "pet_store") ? 1 : 0
  pet_store_type_price_gsi = "type-price-index"
}

module "pet_store_table" {
  source = "./modules/table"
  count  = local.pet_store_on

  table = merge(local.table_defaults, {
    name     = var.pet_store.table_name
    adopt    = length(local.adopted["pet_store.table_name"]) > 0
    hash_key = { name = "id", type = "N" }

    indexes = {
      (local.pet_store_type_price_gsi) = {
        hash_key  = { name = "type", type = "S" }
        range_key = { name = "price", type = "N" }
      }
    }
  })

  alarms = merge(local.table_alarms, {
    system_error_operations = ["GetItem", "BatchGetItem", "PutItem", "UpdateItem", "Query", "TransactWriteItems"]
  })
}

module "pet_store_function" {
  source = "./modules/function"
  count  = local.pet_store_on

  function = merge(local.function_settings.pet_store, {
    name        = local.names.functions.pet_store
    description = "Pet store: list, find and add pets, also as tools of an AgentCore Gateway"

    environment = merge(local.function_environment.pet_store, local.idempotency_environment, {
      PET_STORE_TABLE_NAME  = module.pet_store_table[0].name
      TYPE_PRICE_INDEX_NAME = local.pet_store_type_price_gsi
      SEED                  = tostring(var.pet_store.seed)
    })
  })

  package = local.packages["pet_store"]
  alarms  = local.function_alarms

  statements = merge(
    {
      Pets = {
        actions   = ["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]
        resources = [module.pet_store_table[0].arn]
      }
      PetsByTypeAndPrice = {
        actions   = ["dynamodb:Query"]
        resources = [module.pet_store_table[0].index_arns[local.pet_store_type_price_gsi]]
      }
    },
    local.idempotency_statements,
    module.pet_store_table[0].key_statements.write,
  )
}

# Seeds the table once, or takes over the ids that are there. The function does nothing when that is done already, and
# does it itself at first use where this did not run.
resource "aws_lambda_invocation" "pet_store_seed" {
  count = local.pet_store_on == 1 && local.persistence.pet_store == "dynamodb" ? 1 : 0

  function_name   = module.pet_store_function[0].name
  qualifier       = module.pet_store_function[0].alias_name
  lifecycle_scope = "CREATE_ONLY"
  input           = jsonencode({ action = "seed" })
  triggers        = { table_arn = module.pet_store_table[0].arn }
}

locals {
  pet_store = {
    for system in setintersection(var.systems, ["pet_store"]) : system => {
      function = module.pet_store_function[0]
      tables   = { pets = module.pet_store_table[0], idempotency = module.idempotency_table[0] }
    }
  }
}
