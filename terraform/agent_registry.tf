# Agents register themselves; others find them by capability: a Query on one sparse index, at any number of agents.

locals {
  agent_registry_on             = contains(var.systems, "agent_registry") ? 1 : 0
  agent_registry_capability_gsi = "CapabilityIndex"
}

module "agent_registry_table" {
  source = "./modules/table"
  count  = local.agent_registry_on

  table = merge(local.table_defaults, {
    name     = var.agent_registry.table_name
    hash_key = { name = "agentId", type = "S" }
    # The lease is the ttl: an agent that does not register again in time is gone.
    ttl = { attribute = "ttl" }

    indexes = {
      # One entry for each capability of an agent; the agents themselves have no `capability` and stay out.
      (local.agent_registry_capability_gsi) = {
        hash_key        = { name = "capability", type = "S" }
        range_key       = { name = "capabilityOf", type = "S" }
        projection_type = "KEYS_ONLY"
      }
    }
  })

  alarms = merge(local.table_alarms, {
    system_error_operations = ["GetItem", "BatchGetItem", "PutItem", "DeleteItem", "Query", "TransactWriteItems"]
  })
}

module "agent_registry_function" {
  source = "./modules/function"
  count  = local.agent_registry_on

  function = merge(var.function_defaults, { for setting, value in var.agent_registry.function : setting => value if value != null }, {
    name        = local.names.functions.agent_registry
    description = "Agent registry: register agents, find them by capability"

    environment = merge(local.function_environment, {
      PERSISTENCE               = local.persistence.agent_registry
      AGENT_REGISTRY_TABLE_NAME = module.agent_registry_table[0].name
      CAPABILITY_INDEX_NAME     = local.agent_registry_capability_gsi
      IDEMPOTENCY_TABLE_NAME    = module.idempotency_table[0].name
      IDEMPOTENCY_TTL_SECONDS   = tostring(var.idempotency.ttl_seconds)
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
        resources = [module.agent_registry_table[0].index_arns[local.agent_registry_capability_gsi]]
      }
    },
    local.idempotency_statements,
    module.agent_registry_table[0].key_statements.write,
  )
}

# Roles outside this stack that need the table, too.
resource "aws_iam_policy" "agent_registry" {
  count = local.agent_registry_on == 1 && length(var.agent_registry.attach_access_to_roles) > 0 ? 1 : 0

  name        = local.names.policies.agent_registry
  description = "${title(var.agent_registry.attached_access)} access to the tables of the agent registry"
  policy      = module.agent_registry_table[0].policy_documents[var.agent_registry.attached_access]
}

resource "aws_iam_role_policy_attachment" "agent_registry" {
  for_each = local.agent_registry_on == 1 ? var.agent_registry.attach_access_to_roles : []

  role       = each.value
  policy_arn = aws_iam_policy.agent_registry[0].arn
}

locals {
  agent_registry = {
    for system in setintersection(var.systems, ["agent_registry"]) : system => {
      function         = module.agent_registry_function[0]
      tables           = { agents = module.agent_registry_table[0], idempotency = module.idempotency_table[0] }
      policy_documents = module.agent_registry_table[0].policy_documents
    }
  }
}
