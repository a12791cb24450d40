# Agents that offer work, and what is said to them: found by job, city, tag and price, each time by a Query.

locals {
  agent_profiles_on                = contains(var.systems, "agent_profiles") ? 1 : 0
  agent_profiles_job_gsi           = "job-index"
  agent_profiles_location_gsi      = "location-index"
  agent_profiles_conversations_gsi = "agent-conversations-index"

  # What all three tables share, and what their indexes have each; on-demand tables take no numbers.
  agent_profiles_provisioned = var.agent_profiles.capacity.billing_mode == "PROVISIONED"
  agent_profiles_capacity = {
    billing_mode   = var.agent_profiles.capacity.billing_mode
    read_capacity  = local.agent_profiles_provisioned ? var.agent_profiles.capacity.read : null
    write_capacity = local.agent_profiles_provisioned ? var.agent_profiles.capacity.write : null
    autoscaling    = local.agent_profiles_autoscaling
  }
  agent_profiles_index_capacity = {
    read_capacity  = local.agent_profiles_provisioned ? var.agent_profiles.capacity.index_read : null
    write_capacity = local.agent_profiles_provisioned ? var.agent_profiles.capacity.index_write : null
    autoscaling    = local.agent_profiles_autoscaling
  }
  agent_profiles_autoscaling = {
    for kind in ["read", "write"] : kind => one([
      for scaling in var.agent_profiles.capacity.autoscaling[*] : {
        max            = kind == "read" ? scaling.max_read : scaling.max_write
        target_percent = scaling.target_percent
      } if local.agent_profiles_provisioned
    ])
  }
}

module "agent_profiles_table" {
  source = "./modules/table"
  count  = local.agent_profiles_on

  table = merge(local.table_defaults, local.agent_profiles_capacity, {
    name     = var.agent_profiles.profiles_table_name
    adopt    = length(local.adopted["agent_profiles.profiles_table_name"]) > 0
    hash_key = { name = "id", type = "S" }

    indexes = {
      (local.agent_profiles_job_gsi)      = merge(local.agent_profiles_index_capacity, { hash_key = { name = "job", type = "S" } })
      (local.agent_profiles_location_gsi) = merge(local.agent_profiles_index_capacity, { hash_key = { name = "location_city", type = "S" } })
    }
  })

  alarms = merge(local.table_alarms, {
    system_error_operations = ["GetItem", "BatchGetItem", "PutItem", "Query", "Scan", "TransactWriteItems"]
  })
}

# By job, city, tag and price, cheapest first: an item for each way to find a profile, which changes with it in one
# transaction. The two indexes above serve other applications, and records that older ones wrote.
module "agent_profiles_match_table" {
  source = "./modules/table"
  count  = local.agent_profiles_on

  table = merge(local.table_defaults, local.agent_profiles_capacity, {
    name      = var.agent_profiles.match_table_name
    adopt     = length(local.adopted["agent_profiles.match_table_name"]) > 0
    hash_key  = { name = "entry", type = "S" }
    range_key = { name = "position", type = "S" }
  })

  alarms = merge(local.table_alarms, {
    system_error_operations = ["Query", "PutItem", "DeleteItem", "TransactWriteItems"]
  })
}

module "agent_conversations_table" {
  source = "./modules/table"
  count  = local.agent_profiles_on

  table = merge(local.table_defaults, local.agent_profiles_capacity, {
    name      = var.agent_profiles.conversations_table_name
    adopt     = length(local.adopted["agent_profiles.conversations_table_name"]) > 0
    hash_key  = { name = "conversation_id", type = "S" }
    range_key = { name = "timestamp", type = "S" }

    indexes = {
      (local.agent_profiles_conversations_gsi) = merge(local.agent_profiles_index_capacity, {
        hash_key  = { name = "agent_id", type = "S" }
        range_key = { name = "timestamp", type = "S" }
      })
    }
  })

  alarms = merge(local.table_alarms, {
    system_error_operations = ["PutItem", "Query", "TransactWriteItems"]
  })
}

module "agent_profiles_function" {
  source = "./modules/function"
  count  = local.agent_profiles_on

  function = merge(local.function_settings.agent_profiles, {
    name        = local.names.functions.agent_profiles
    description = "Agent profiles: store, match and list them, and keep conversations"

    environment = merge(local.function_environment.agent_profiles, local.idempotency_environment, {
      PROFILE_TABLE_NAME             = module.agent_profiles_table[0].name
      MATCH_TABLE_NAME               = module.agent_profiles_match_table[0].name
      CONVERSATION_TABLE_NAME        = module.agent_conversations_table[0].name
      JOB_INDEX_NAME                 = local.agent_profiles_job_gsi
      LOCATION_INDEX_NAME            = local.agent_profiles_location_gsi
      AGENT_CONVERSATIONS_INDEX_NAME = local.agent_profiles_conversations_gsi
    })
  })

  package = local.packages["agent_profiles"]
  alarms  = local.function_alarms

  statements = merge(
    {
      # The one Scan of all functions: GET /list pages through the table, since every item there belongs to the list.
      Profiles = {
        actions   = ["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Scan"]
        resources = [module.agent_profiles_table[0].arn]
      }
      ProfilesByJobAndCity = {
        actions = ["dynamodb:Query"]
        resources = [
          module.agent_profiles_table[0].index_arns[local.agent_profiles_job_gsi],
          module.agent_profiles_table[0].index_arns[local.agent_profiles_location_gsi],
        ]
      }
      ProfilesByEntry = {
        actions   = ["dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:Query"]
        resources = [module.agent_profiles_match_table[0].arn]
      }
      Conversations = {
        actions   = ["dynamodb:PutItem", "dynamodb:Query"]
        resources = [module.agent_conversations_table[0].arn]
      }
      ConversationsByAgent = {
        actions   = ["dynamodb:Query"]
        resources = [module.agent_conversations_table[0].index_arns[local.agent_profiles_conversations_gsi]]
      }
    },
    local.idempotency_statements,
    module.agent_profiles_table[0].key_statements.write,
    module.agent_profiles_match_table[0].key_statements.write,
    module.agent_conversations_table[0].key_statements.write,
  )
}

locals {
  agent_profiles = {
    for system in setintersection(var.systems, ["agent_profiles"]) : system => {
      function = module.agent_profiles_function[0]
      tables = {
        profiles      = module.agent_profiles_table[0]
        match         = module.agent_profiles_match_table[0]
        conversations = module.agent_conversations_table[0]
        idempotency   = module.idempotency_table[0]
      }
    }
  }
}
