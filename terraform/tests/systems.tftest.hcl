# What each system is made of, and that it needs none of the others.

mock_provider "aws" {
  source = "./tests/mocks"
}

mock_provider "aws" {
  alias  = "tables"
  source = "./tests/mocks"
}

variables {
  environment     = "dev"
  aws_region      = "eu-north-1"
  lambda_manifest = "tests/fixtures/manifest.json"
  alarms          = { enabled = false }
}

run "tables_keys_and_indexes_are_those_that_people_have" {
  command = plan

  assert {
    condition = merge([for system in values(output.verification.systems) : {
      for table in values(system.tables) : table.name => join(" ", compact([table.hash_key, table.range_key, "ttl=${coalesce(table.ttl_attribute, "none")}", table.billing_mode]))
      }]...) == {
      AgentRegistry               = "agentId ttl=ttl PAY_PER_REQUEST"
      PetStore                    = "id ttl=none PAY_PER_REQUEST"
      agent-conversations         = "conversation_id timestamp ttl=none PROVISIONED"
      agent-profiles              = "id ttl=none PROVISIONED"
      agent-profiles-match        = "entry position ttl=none PROVISIONED"
      agent-state-dev-idempotency = "id ttl=ttl PAY_PER_REQUEST"
      ai-agent-messages           = "id ttl=ttl PAY_PER_REQUEST"
      ai-agent-sessions           = "id tenantId ttl=none PAY_PER_REQUEST"
      chat_sessions               = "PK SK ttl=ttl PAY_PER_REQUEST"
    }
    error_message = "Names, keys, expiry and billing are contracts."
  }

  assert {
    condition = merge(flatten([for system in values(output.verification.systems) : [
      for table in values(system.tables) : { for name, index in table.indexes : "${table.name}/${name}" => join(" ", compact([index.hash_key, index.range_key, index.projection_type])) }
      ]])...) == {
      "AgentRegistry/CapabilityIndex"                 = "capability capabilityOf KEYS_ONLY"
      "PetStore/id-range-index"                       = "idRange id ALL"
      "PetStore/type-price-index"                     = "type price ALL"
      "agent-conversations/agent-conversations-index" = "agent_id timestamp ALL"
      "agent-profiles/job-index"                      = "job ALL"
      "agent-profiles/location-index"                 = "location_city ALL"
      "ai-agent-messages/SessionTimestampIndex"       = "sessionId timestamp ALL"
      "ai-agent-messages/TenantTimestampIndex"        = "tenantId timestamp ALL"
      "ai-agent-sessions/TenantUserIndex"             = "tenantId userId ALL"
      "chat_sessions/UserSessionsIndex"               = "GSI1PK GSI1SK ALL"
    }
    error_message = "Indexes are contracts, too."
  }

  assert {
    condition = alltrue([for system in values(output.verification.systems) : alltrue([for logical, table in system.tables :
    table.deletion_protection && table.point_in_time_recovery_days == (logical == "idempotency" ? 0 : 35)])])
    error_message = "No table goes by accident, and all but the markers can be restored for 35 days."
  }

  assert {
    condition = (
      [for table in values(output.verification.systems.agent_profiles.tables) : "${table.read_capacity}/${table.write_capacity}" if table.billing_mode == "PROVISIONED"] == ["10/10", "10/10", "10/10"]
      && flatten([for table in values(output.verification.systems.agent_profiles.tables) : [for index in values(table.indexes) : "${index.read_capacity}/${index.write_capacity}"]]) == ["5/5", "5/5", "5/5"]
    )
    error_message = "10 and 10 units a table, 5 and 5 an index."
  }

  assert {
    condition     = length(keys(output.systems)) == 5 && alltrue([for system in values(output.systems) : length(system.routes) > 0])
    error_message = "All five, each with its routes."
  }
}

run "agent_registry_alone" {
  command = plan

  variables {
    systems = ["agent_registry"]
  }

  assert {
    condition     = keys(output.systems) == ["agent_registry"] && length(module.agent_registry_table) + length(module.agent_registry_function) + length(module.idempotency_table) == 3
    error_message = "The registry with its table, and the markers."
  }

  assert {
    condition     = length(module.agent_profiles_table) + length(module.agent_profiles_match_table) + length(module.agent_conversations_table) + length(module.agent_profiles_function) == 0
    error_message = "Nothing of the profiles."
  }

  assert {
    condition     = length(module.agent_sessions_table) + length(module.agent_messages_table) + length(module.agent_sessions_function) == 0
    error_message = "Nothing of the agent sessions."
  }

  assert {
    condition     = length(module.pet_store_table) + length(module.pet_store_function) + length(aws_lambda_invocation.pet_store_seed) == 0
    error_message = "Nothing of the pets."
  }

  assert {
    condition     = length(module.chat_sessions_table) + length(module.chat_sessions_function) + length(aws_cloudwatch_event_rule.chat_sessions_deletions) + length(aws_cloudwatch_event_target.chat_sessions_deletions) + length(aws_lambda_permission.chat_sessions_deletions) == 0
    error_message = "Nothing of the chat sessions."
  }
}

run "agent_profiles_alone" {
  command = plan

  variables {
    systems        = ["agent_profiles"]
    agent_profiles = { capacity = { billing_mode = "PAY_PER_REQUEST" } }
  }

  assert {
    condition     = keys(output.systems) == ["agent_profiles"] && length(module.agent_registry_table) + length(module.agent_registry_function) == 0
    error_message = "The profiles, and nothing of the registry."
  }

  assert {
    condition     = alltrue([for table in values(output.verification.systems.agent_profiles.tables) : table.billing_mode == "PAY_PER_REQUEST" && table.read_capacity == null && alltrue([for index in values(table.indexes) : index.read_capacity == null])])
    error_message = "On-demand by one variable, all tables and indexes."
  }
}

run "agent_profiles_autoscaled" {
  command = plan

  variables {
    systems        = ["agent_profiles"]
    agent_profiles = { capacity = { autoscaling = { max_read = 40 } } }
  }

  assert {
    condition     = alltrue([for logical, table in output.verification.systems.agent_profiles.tables : logical == "idempotency" || (table.billing_mode == "PROVISIONED" && table.read_capacity == null && alltrue([for index in values(table.indexes) : index.write_capacity == null]))])
    error_message = "Verification knows that a scaler moves the numbers of tables and indexes."
  }
}

run "agent_sessions_alone" {
  command = plan

  variables {
    systems = ["agent_sessions"]
    agent_sessions = {
      reply = {
        backend            = "http"
        url                = "https://agent.example.com/reply"
        key_parameter_name = "/agents/key"
        key_kms_key_arn    = "arn:aws:kms:eu-north-1:123456789012:key/1234"
      }
    }
  }

  assert {
    condition     = keys(output.systems) == ["agent_sessions"] && length(module.idempotency_table) == 0 && keys(output.systems.agent_sessions.tables) == ["messages", "sessions"]
    error_message = "Two tables, and no markers: erasing a user must leave nothing."
  }

  assert {
    condition = { for statement in jsondecode(module.agent_sessions_function[0].policy_document).Statement : statement.Sid => [statement.Action, statement.Resource] if startswith(statement.Sid, "ReplyKey") } == {
      ReplyKeyParameter  = [["ssm:GetParameter"], ["arn:aws:ssm:eu-north-1:123456789012:parameter/agents/key"]]
      ReplyKeyDecryption = [["kms:Decrypt"], ["arn:aws:kms:eu-north-1:123456789012:key/1234"]]
    }
    error_message = "The function may read that one parameter: ${module.agent_sessions_function[0].policy_document}"
  }

  assert {
    condition     = [for statement in jsondecode(module.agent_sessions_function[0].policy_document).Statement : statement.Condition if statement.Sid == "ReplyKeyDecryption"] == [{ StringEquals = { "kms:ViaService" = ["ssm.eu-north-1.amazonaws.com"] } }]
    error_message = "And decrypt it through SSM only."
  }

  assert {
    condition     = jsonencode(output.reply) == jsonencode({ backend = "http", url = "https://agent.example.com/reply", key_secret_arn = null, key_parameter_name = "/agents/key" })
    error_message = "Applications learn where the key lies: ${jsonencode(output.reply)}"
  }
}

run "pet_store_alone" {
  command = plan

  variables {
    systems = ["pet_store"]
  }

  assert {
    condition     = keys(output.systems) == ["pet_store"] && length(aws_lambda_invocation.pet_store_seed) == 1 && length(aws_cloudwatch_event_rule.chat_sessions_deletions) == 0
    error_message = "The pets, seeded."
  }

  assert {
    condition     = jsondecode(aws_lambda_invocation.pet_store_seed[0].input) == { action = "seed" } && aws_lambda_invocation.pet_store_seed[0].qualifier == module.pet_store_function[0].alias_name && aws_lambda_invocation.pet_store_seed[0].lifecycle_scope == "CREATE_ONLY"
    error_message = "Seeded once, by the version that serves."
  }
}

run "chat_sessions_alone" {
  command = plan

  variables {
    systems    = ["chat_sessions"]
    table_name = "our_chats"
  }

  assert {
    condition     = keys(output.systems) == ["chat_sessions"] && output.systems.chat_sessions.tables.sessions.name == "our_chats" && length(aws_lambda_invocation.pet_store_seed) == 0
    error_message = "The chat sessions, in the table that their users named."
  }

  assert {
    condition = (
      aws_cloudwatch_event_rule.chat_sessions_deletions[0].schedule_expression == "rate(1 hour)"
      && jsondecode(aws_cloudwatch_event_target.chat_sessions_deletions[0].input) == { action = "finish-deletions" }
      && aws_lambda_permission.chat_sessions_deletions[0].qualifier == module.chat_sessions_function[0].alias_name
      && aws_lambda_permission.chat_sessions_deletions[0].principal == "events.amazonaws.com"
    )
    error_message = "Each hour what was interrupted is finished, by the version that serves."
  }
}

run "rolled_back" {
  command = plan

  variables {
    systems         = ["agent_registry", "pet_store"]
    pinned_versions = { agent_registry = "3", chat_sessions = "2" }
  }

  assert {
    condition     = module.agent_registry_function[0].serving_version == "3" && length(keys(output.systems)) == 2
    error_message = "Callers stay at the version that they were rolled back to; a system that is off has none."
  }
}

run "memory_everywhere" {
  command = plan

  variables {
    persistence = { agent_profiles = "memory", agent_registry = "memory", agent_sessions = "memory", chat_sessions = "memory", pet_store = "memory" }
  }

  assert {
    condition     = alltrue([for system in values(output.systems) : system.persistence == "memory" && length(system.tables) > 0])
    error_message = "The way back must not cost the data."
  }

  assert {
    condition     = length(aws_lambda_invocation.pet_store_seed) == 0
    error_message = "Memory is seeded by each execution environment for itself."
  }
}

run "tokens_of_any_issuer" {
  command = plan

  variables {
    systems  = ["agent_profiles", "agent_registry", "pet_store"]
    api_auth = "jwt"
    api_jwt  = { issuer = "https://issuer.example.com/tenants/a", audiences = ["agents"], scopes = { agent_profiles = { "GET /list" = ["profiles.list"], write = [] } } }
  }

  assert {
    condition = output.api.jwt.issuer == "https://issuer.example.com/tenants/a" && output.api.jwt.audiences == tolist(["agents"]) && jsonencode({ for route in ["GET /agents", "DELETE /agents/{id}", "POST /match", "GET /list", "POST /store", "POST /pets"] : route => output.api.jwt.scopes[route] }) == jsonencode({
      "GET /agents"         = ["agent_registry.read"]
      "DELETE /agents/{id}" = ["agent_registry.write"]
      "POST /match"         = ["agent_profiles.read"]
      "GET /list"           = ["profiles.list"]
      "POST /store"         = []
      "POST /pets"          = ["pet_store.write"]
    })
    error_message = "Scopes by system, and as stated: ${jsonencode(output.api.jwt)}"
  }

  assert {
    condition     = output.user_pool == null && length(module.token_claims_function) == 0
    error_message = "Another's tokens take nothing of ours."
  }
}

run "tokens_of_a_user_pool" {
  command = plan

  variables {
    systems      = ["agent_registry"]
    api_auth     = "jwt"
    api_jwt      = { cognito = { access_token_minutes = 15 } }
    token_claims = { tenant = "org", user = "username" }
  }

  assert {
    condition     = length(output.user_pool.groups) == 10 && output.user_pool.scope_prefix == "agent-state-dev/" && jsonencode(output.api.jwt.scopes["GET /agents"]) == jsonencode(["agent-state-dev/agent_registry.read"])
    error_message = "A group for each system's readers and writers: ${jsonencode(output.user_pool.groups)}"
  }

  assert {
    condition     = module.token_claims_function[0].name == "agent-state-dev-token-claims"
    error_message = "The function that fills the tokens is there."
  }
}

run "a_user_pool_before_the_api_asks_for_tokens" {
  command = plan

  variables {
    systems = ["pet_store"]
    api_jwt = { cognito = {} }
  }

  assert {
    condition     = output.api.auth == "iam" && output.api.jwt == null && contains(output.user_pool.groups, "agent_registry.read")
    error_message = "Users can be made first, and keep their groups whichever systems are on."
  }
}
