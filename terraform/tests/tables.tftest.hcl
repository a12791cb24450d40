# Settings of single tables, tables of no system, and indexes that are being replaced.

mock_provider "aws" {
  source = "./tests/mocks"
}

mock_provider "aws" {
  alias  = "tables"
  source = "./tests/mocks"
}

variables {
  environment     = "dev"
  lambda_manifest = "tests/fixtures/manifest.json"
  # Each system costs time in every run.
  systems = ["agent_registry"]
}

run "a_tables_settings_go_before_those_of_all" {
  command = plan

  variables {
    tags = { Team = "agents" }
    tables = {
      "agent_registry.agents" = {
        billing_mode                = "PROVISIONED"
        read_capacity               = 20
        write_capacity              = 10
        autoscaling                 = { write = { max = 50 } }
        point_in_time_recovery_days = 7
        encryption                  = { type = "AWS_MANAGED" }
        stream_view_type            = "NEW_IMAGE"
        contributor_insights        = true
        tags                        = { Owner = "registry" }
        indexes = {
          CapabilityIndex = { read_capacity = 40, projection_type = "ALL" }
          ByOwner         = { hash_key = { name = "owner", type = "S" } }
        }
      }
      "idempotency.markers" = { deletion_protection = false, own_tags_only = true, tags = { Owner = "somebody" } }
    }
  }

  assert {
    condition = jsonencode(output.verification.systems.agent_registry.tables.agents) == jsonencode({
      billing_mode        = "PROVISIONED"
      deletion_protection = true
      encryption          = "AWS_MANAGED"
      hash_key            = "agentId"
      indexes = {
        # As the system defines it, but for what is said; the rest of its capacity is the table's.
        CapabilityIndex = { hash_key = "capability", non_key_attributes = [], projection_type = "ALL", range_key = "capabilityOf", read_capacity = 40, write_capacity = 10 }
        ByOwner         = { hash_key = "owner", non_key_attributes = [], projection_type = "ALL", range_key = null, read_capacity = 20, write_capacity = null }
      }
      kms_key_arn                 = null
      name                        = "AgentRegistry"
      point_in_time_recovery_days = 7
      range_key                   = null
      read_capacity               = 20
      replicas                    = []
      stream_view_type            = "NEW_IMAGE"
      table_class                 = "STANDARD"
      ttl_attribute               = "ttl"
      write_capacity              = null
    })
    error_message = "agents: ${jsonencode(output.verification.systems.agent_registry.tables.agents)}"
  }

  assert {
    condition     = output.verification.systems.agent_registry.tables.idempotency.point_in_time_recovery_days == 0 && !output.verification.systems.agent_registry.tables.idempotency.deletion_protection
    error_message = "What nobody says stays as the system has it."
  }

  assert {
    condition = (
      jsonencode(local.tables["agent_registry.agents"].tags) == jsonencode({ Project = "agent-state", Environment = "dev", ManagedBy = "terraform", Team = "agents", Owner = "registry" })
      && local.tables["agent_registry.agents"].table_tags == null && jsonencode(local.tables["idempotency.markers"].table_tags) == jsonencode({ Owner = "somebody" })
    )
    error_message = "A table has the tags of everything and its own, or only its own."
  }

  assert {
    condition     = strcontains(output.systems.agent_registry.policy_documents.read, "table/AgentRegistry/index/ByOwner")
    error_message = "Others may read the further index."
  }
}

run "billing_of_a_table_changes_with_one_word" {
  command = plan

  variables {
    systems = ["agent_profiles"]
    tables = {
      "agent_profiles.profiles"      = { billing_mode = "PAY_PER_REQUEST" }
      "agent_profiles.conversations" = { read_capacity = 30, indexes = { agent-conversations-index = { write_capacity = 7 } } }
      "idempotency.markers"          = { billing_mode = "PROVISIONED", read_capacity = 3, write_capacity = 3 }
    }
  }

  assert {
    condition = jsonencode({ for name, table in output.verification.systems.agent_profiles.tables : name => concat(
      [table.billing_mode, table.read_capacity, table.write_capacity],
      flatten([for index in keys(table.indexes) : [index, table.indexes[index].read_capacity, table.indexes[index].write_capacity]]),
      ) }) == jsonencode({
      profiles      = ["PAY_PER_REQUEST", null, null, "job-index", null, null, "location-index", null, null]
      match         = ["PROVISIONED", 10, 10]
      conversations = ["PROVISIONED", 30, 10, "agent-conversations-index", 5, 7]
      idempotency   = ["PROVISIONED", 3, 3]
    })
    error_message = "A system's numbers go with its own billing mode: ${jsonencode(output.verification.systems.agent_profiles.tables)}"
  }
}

run "tables_of_no_system" {
  command = plan

  variables {
    deletion_protection = false
    extra_tables = {
      Orders = { hash_key = { name = "id", type = "S" }, own_tags_only = true, indexes = { ByDay = { hash_key = { name = "day", type = "N" } } } }
      Events = { hash_key = { name = "id", type = "S" }, range_key = { name = "at", type = "N" }, deletion_protection = true, alarms = true, tags = { Owner = "events" } }
    }
  }

  assert {
    condition = jsonencode(output.extra_tables) == jsonencode({
      Events = "arn:aws:dynamodb:eu-north-1:123456789012:table/Events"
      Orders = "arn:aws:dynamodb:eu-north-1:123456789012:table/Orders"
    })
    error_message = "Each by its name: ${jsonencode(output.extra_tables)}"
  }

  assert {
    condition = (
      module.extra_table["Events"].declared.deletion_protection && !module.extra_table["Orders"].declared.deletion_protection
      && module.extra_table["Orders"].declared.point_in_time_recovery_days == 35 && keys(module.extra_table["Orders"].declared.indexes) == ["ByDay"]
    )
    error_message = "What is not stated is as for all tables."
  }

  assert {
    condition     = length(module.extra_table["Orders"].alarm_arns) == 0 && length(module.extra_table["Events"].alarm_arns) > 0
    error_message = "Alarms where they are wanted."
  }
}

run "an_index_that_is_added" {
  command = plan

  variables {
    index_migrations = { "agent_registry.agents/CapabilityIndex" = { name = "CapabilityIndex2", projection_type = "ALL", stage = "add" } }
  }

  assert {
    condition = jsonencode(output.verification.systems.agent_registry.tables.agents.indexes) == jsonencode({
      CapabilityIndex  = { hash_key = "capability", non_key_attributes = [], projection_type = "KEYS_ONLY", range_key = "capabilityOf", read_capacity = null, write_capacity = null }
      CapabilityIndex2 = { hash_key = "capability", non_key_attributes = [], projection_type = "ALL", range_key = "capabilityOf", read_capacity = null, write_capacity = null }
    })
    error_message = "The old one stays as it is: ${jsonencode(output.verification.systems.agent_registry.tables.agents.indexes)}"
  }

  assert {
    condition     = local.index_names["agent_registry.agents/CapabilityIndex"].read == "CapabilityIndex"
    error_message = "The function reads the old one."
  }
}

run "an_index_that_is_read" {
  command = apply

  variables {
    index_migrations = { "agent_registry.agents/CapabilityIndex" = { name = "CapabilityIndex2", range_key = { name = "since", type = "N" }, stage = "read" } }
  }

  assert {
    condition     = jsonencode({ for name, index in output.verification.systems.agent_registry.tables.agents.indexes : name => index.range_key }) == jsonencode({ CapabilityIndex = "capabilityOf", CapabilityIndex2 = "since" })
    error_message = "Both exist: ${jsonencode(output.verification.systems.agent_registry.tables.agents.indexes)}"
  }

  assert {
    condition     = local.index_names["agent_registry.agents/CapabilityIndex"].read == "CapabilityIndex2" && length([for arn in module.agent_registry_table[0].index_arns : arn]) == 2
    error_message = "The function reads the new one, and may read both."
  }
}

run "an_index_that_took_the_place_of_one_that_did" {
  command = plan

  variables {
    tables = { "agent_registry.agents" = { indexes = { CapabilityIndex = { contributor_insights = true } } } }
    index_migrations = { "agent_registry.agents/CapabilityIndex" = {
      name            = "CapabilityIndex3"
      projection_type = "ALL"
      from            = { name = "CapabilityIndex2", range_key = { name = "since", type = "N" } }
      stage           = "add"
    } }
  }

  assert {
    condition = jsonencode({ for name, index in output.verification.systems.agent_registry.tables.agents.indexes : name => [index.range_key, index.projection_type] }) == jsonencode({
      CapabilityIndex2 = ["since", "KEYS_ONLY"]
      CapabilityIndex3 = ["capabilityOf", "ALL"]
    })
    error_message = "The one that is there, and the one to come: ${jsonencode(output.verification.systems.agent_registry.tables.agents.indexes)}"
  }
}

run "a_migration_that_is_done" {
  command = plan

  variables {
    index_migrations = { "agent_registry.agents/CapabilityIndex" = { name = "CapabilityIndex3" } }
  }

  assert {
    condition     = keys(output.verification.systems.agent_registry.tables.agents.indexes) == ["CapabilityIndex3"]
    error_message = "Only the new one is left."
  }
}

run "a_tenants_indexes_are_made_beside_the_others" {
  command = plan

  variables {
    systems        = ["agent_sessions"]
    agent_sessions = { tenant_shards = { write = 16, stage = "add" } }
  }

  assert {
    condition = { for table, declared in output.verification.systems.agent_sessions.tables : table => keys(declared.indexes) } == {
      sessions = ["TenantShardUserIndex", "TenantUserIndex"]
      messages = ["SessionTimestampIndex", "TenantShardTimestampIndex", "TenantTimestampIndex"]
    }
    error_message = "Both kinds of indexes must exist while items are brought to the new ones."
  }

  assert {
    condition     = output.shards.agent_sessions.write == 16 && output.shards.agent_sessions.read == 16 && output.shards.agent_registry == null
    error_message = "As many shards are read as are written, unless more are stated."
  }
}

run "a_tenants_indexes_replace_the_others" {
  command = plan

  variables {
    systems        = ["agent_sessions"]
    agent_sessions = { tenant_shards = { write = 16, stage = "done" } }
  }

  assert {
    condition = { for table, declared in output.verification.systems.agent_sessions.tables : table => keys(declared.indexes) } == {
      sessions = ["TenantShardUserIndex"]
      messages = ["SessionTimestampIndex", "TenantShardTimestampIndex"]
    }
    error_message = "At the end there are the new indexes alone."
  }
}
