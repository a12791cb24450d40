# Pets with consecutive ids, for people and for a chatbot's tools.

locals {
  pet_store_on = contains(var.systems, "pet_store") ? 1 : 0

  pet_store_id_blocks = { for size in [var.pet_store.id_block_size] : "ID_BLOCK_SIZE" => tostring(size) if size > 1 }

  pet_store_tables = {
    "pet_store.pets" = {
      hash_key = { name = "id", type = "N" }

      indexes = {
        "type-price-index" = {
          hash_key  = { name = "type", type = "S" }
          range_key = { name = "price", type = "N" }
        }
        # The list of all pets: an `idRange` is 100 consecutive ids.
        "id-range-index" = {
          hash_key  = { name = "idRange", type = "N" }
          range_key = { name = "id", type = "N" }
        }
      }
    }
  }
}

module "pet_store_table" {
  source    = "./modules/table"
  count     = local.pet_store_on
  providers = { aws = aws.tables }

  table = local.tables["pet_store.pets"]

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

    environment = merge(local.function_environment.pet_store, local.idempotency_environment, local.pet_store_id_blocks, {
      PET_STORE_TABLE_NAME  = module.pet_store_table[0].name
      TYPE_PRICE_INDEX_NAME = local.index_names["pet_store.pets/type-price-index"].read
      ID_RANGE_INDEX_NAME   = local.index_names["pet_store.pets/id-range-index"].read
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
      PetsByTypeAndPriceAndById = {
        actions = ["dynamodb:Query"]
        resources = [
          for name in concat(local.index_names["pet_store.pets/type-price-index"].all, local.index_names["pet_store.pets/id-range-index"].all) :
          module.pet_store_table[0].index_arns[name]
        ]
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
