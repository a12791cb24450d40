# Agents that offer work, and what is said to them: found by job, city, tag and price, each time by a Query.

locals {
  agent_profiles_on = contains(var.systems, "agent_profiles") ? 1 : 0

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

  agent_profiles_tables = {
    "agent_profiles.profiles" = merge(local.agent_profiles_capacity, {
      hash_key = { name = "id", type = "S" }

      indexes = {
        "job-index"      = merge(local.agent_profiles_index_capacity, { hash_key = { name = "job", type = "S" } })
        "location-index" = merge(local.agent_profiles_index_capacity, { hash_key = { name = "location_city", type = "S" } })
      }
    })

    # By job, city, tag and price, cheapest first: an item for each way to find a profile, which changes with it in one
    # transaction. The two indexes above serve other applications, and records that older ones wrote.
    "agent_profiles.match" = merge(local.agent_profiles_capacity, {
      hash_key  = { name = "entry", type = "S" }
      range_key = { name = "position", type = "S" }
    })

    "agent_profiles.conversations" = merge(local.agent_profiles_capacity, {
      hash_key  = { name = "conversation_id", type = "S" }
      range_key = { name = "timestamp", type = "S" }

      indexes = {
        "agent-conversations-index" = merge(local.agent_profiles_index_capacity, {
          hash_key  = { name = "agent_id", type = "S" }
          range_key = { name = "timestamp", type = "S" }
        })
      }
    })
  }
}

module "agent_profiles_table" {
  source    = "./modules/table"
  count     = local.agent_profiles_on
  providers = { aws = aws.tables }

  table = local.tables["agent_profiles.profiles"]

  alarms = merge(local.table_alarms, {
    system_error_operations = ["GetItem", "BatchGetItem", "PutItem", "Query", "Scan", "TransactWriteItems"]
  })
}

module "agent_profiles_match_table" {
  source    = "./modules/table"
  count     = local.agent_profiles_on
  providers = { aws = aws.tables }

  table = local.tables["agent_profiles.match"]

  alarms = merge(local.table_alarms, {
    system_error_operations = ["Query", "PutItem", "DeleteItem", "TransactWriteItems"]
  })
}

module "agent_conversations_table" {
  source    = "./modules/table"
  count     = local.agent_profiles_on
  providers = { aws = aws.tables }

  table = local.tables["agent_profiles.conversations"]

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

    environment = merge(local.function_environment.agent_profiles, local.idempotency_environment, local.shard_environment.MATCH_SHARDS, {
      PROFILE_TABLE_NAME             = module.agent_profiles_table[0].name
      MATCH_TABLE_NAME               = module.agent_profiles_match_table[0].name
      CONVERSATION_TABLE_NAME        = module.agent_conversations_table[0].name
      JOB_INDEX_NAME                 = local.index_names["agent_profiles.profiles/job-index"].read
      LOCATION_INDEX_NAME            = local.index_names["agent_profiles.profiles/location-index"].read
      AGENT_CONVERSATIONS_INDEX_NAME = local.index_names["agent_profiles.conversations/agent-conversations-index"].read
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
          for name in concat(local.index_names["agent_profiles.profiles/job-index"].all, local.index_names["agent_profiles.profiles/location-index"].all) :
          module.agent_profiles_table[0].index_arns[name]
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
        resources = [for name in local.index_names["agent_profiles.conversations/agent-conversations-index"].all : module.agent_conversations_table[0].index_arns[name]]
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
