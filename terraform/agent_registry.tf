# Agents register themselves; others find them by capability: a Query on one sparse index, at any number of agents.

locals {
  agent_registry_on = contains(var.systems, "agent_registry") ? 1 : 0

  agent_registry_tables = {
    "agent_registry.agents" = {
      hash_key = { name = "agentId", type = "S" }
      # The lease is the ttl: an agent that does not register again in time is gone.
      ttl = { attribute = "ttl" }

      indexes = {
        # One entry for each capability of an agent; the agents themselves have no `capability` and stay out.
        "CapabilityIndex" = {
          hash_key        = { name = "capability", type = "S" }
          range_key       = { name = "capabilityOf", type = "S" }
          projection_type = "KEYS_ONLY"
        }
      }
    }
  }
}

module "agent_registry_table" {
  source    = "./modules/table"
  count     = local.agent_registry_on
  providers = { aws = aws.tables }

  table = local.tables["agent_registry.agents"]

  alarms = merge(local.table_alarms, {
    system_error_operations = ["GetItem", "BatchGetItem", "PutItem", "DeleteItem", "Query", "TransactWriteItems"]
  })
}

module "agent_registry_function" {
  source = "./modules/function"
  count  = local.agent_registry_on

  function = merge(local.function_settings.agent_registry, {
    name        = local.names.functions.agent_registry
    description = "Agent registry: register agents, find them by capability"

    environment = merge(local.function_environment.agent_registry, local.idempotency_environment, local.shard_environment.CAPABILITY_SHARDS, {
      AGENT_REGISTRY_TABLE_NAME = module.agent_registry_table[0].name
      CAPABILITY_INDEX_NAME     = local.index_names["agent_registry.agents/CapabilityIndex"].read
    })
  })

  package = local.packages["agent_registry"]
  alarms  = local.function_alarms

  # Also in memory mode: switching back must not wait for IAM. Transactions are authorised by the actions inside them.
  statements = merge(
    {
      Agents = {
        actions   = ["dynamodb:BatchGetItem", "dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem"]
        resources = [module.agent_registry_table[0].arn]
      }
      AgentsByCapability = {
        actions   = ["dynamodb:Query"]
        resources = [for name in local.index_names["agent_registry.agents/CapabilityIndex"].all : module.agent_registry_table[0].index_arns[name]]
      }
    },
    local.idempotency_statements,
    module.agent_registry_table[0].key_statements.write,
  )
}

locals {
  agent_registry = {
    for system in setintersection(var.systems, ["agent_registry"]) : system => {
      function = module.agent_registry_function[0]
      tables   = { agents = module.agent_registry_table[0], idempotency = module.idempotency_table[0] }
    }
  }
}
