# Each variable in `expect_failures` is refused for one reason; all else in the run is right.
# Nothing but variables: `make test` runs this file on the root without its resources, which would take minutes.

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
  # The others have a file of their own; each costs time in every run.
  systems = ["agent_registry"]
}

run "places_and_names_of_a_wrong_shape" {
  command = plan

  variables {
    environment            = "Dev"
    aws_region             = "stockholm"
    aws_account_id         = "1234"
    tags                   = { "aws:mine" = "yes" }
    persistence            = { toaster = "dynamodb" }
    attach_access_to_roles = { toaster = { roles = ["someone"] } }
    functions              = { toaster = {} }
    pinned_versions        = { toaster = "3" }

    permissions_boundary_arn = "boundary"
  }

  expect_failures = [var.environment, var.aws_region, var.aws_account_id, var.tags, var.persistence, var.attach_access_to_roles, var.functions, var.pinned_versions, var.permissions_boundary_arn]
}

run "a_pin_that_is_no_published_version" {
  command = plan

  variables {
    pinned_versions = { agent_registry = "live" }
  }

  expect_failures = [var.pinned_versions]
}

run "numbers_below_their_bounds" {
  command = plan

  variables {
    idempotency                 = { ttl_seconds = 59 }
    agent_profiles              = { capacity = { autoscaling = { max_write = 9 } } }
    agent_sessions              = { message_ttl_days = -1 }
    chat_sessions               = { session_ttl_days = 0.5 }
    point_in_time_recovery_days = 0
    function_defaults           = { timeout_seconds = 0 }
    api_throttling              = { rate_limit = 0 }
    alarms                      = { user_errors = -1 }
    budgets                     = { query_milliseconds = 0 }
  }

  expect_failures = [var.idempotency, var.agent_profiles, var.agent_sessions, var.chat_sessions, var.point_in_time_recovery_days, var.function_defaults, var.api_throttling, var.alarms, var.budgets]
}

run "numbers_above_their_bounds" {
  command = plan

  variables {
    point_in_time_recovery_days = 36
    function_defaults           = { timeout_seconds = 30 }
    functions                   = { agent_registry = { timeout_seconds = 30 } }
    agent_sessions              = { reply = { timeout_seconds = 26 } }
    api_throttling              = { burst_limit = 5001 }
    alarms                      = { period_seconds = 10 }
    name_prefix                 = "a-prefix-that-leaves-no-room-for-the-rest-of-names"
  }

  expect_failures = [var.point_in_time_recovery_days, var.function_defaults, var.functions, var.agent_sessions, var.api_throttling, var.alarms, var.name_prefix]
}

run "shards_that_would_lose_something" {
  command = plan

  variables {
    agent_registry = { capability_shards = { write = 16, read = 8 } }
    agent_profiles = { match_shards = { write = 65 } }
    agent_sessions = { tenant_shards = { write = 16 } }
    pet_store      = { id_block_size = 101 }
    chat_sessions  = { deletion_shards = { write = 0 } }
  }

  expect_failures = [var.agent_registry, var.agent_profiles, var.agent_sessions, var.pet_store, var.chat_sessions]
}

run "parts_that_are_none" {
  command = plan

  variables {
    agent_registry = { capability_shards = { write = 1.5 } }
    agent_sessions = { tenant_shards = { write = 4, stage = "gone" } }
    chat_sessions  = { recency_granularity_seconds = -1 }
  }

  expect_failures = [var.agent_registry, var.agent_sessions, var.chat_sessions]
}

run "markers_kept_too_long" {
  command = plan

  variables {
    idempotency = { ttl_seconds = 2592001 }
  }

  expect_failures = [var.idempotency]
}

run "table_name_too_short" {
  command = plan

  variables {
    agent_registry = { table_name = "ab" }
  }

  expect_failures = [var.systems]
}

run "two_tables_of_one_name" {
  command = plan

  variables {
    idempotency = { table_name = "AgentRegistry" }
  }

  expect_failures = [var.systems]
}

run "an_unknown_system" {
  command = plan

  variables {
    systems = ["toaster"]
  }

  expect_failures = [var.systems]
}

run "words_that_mean_nothing" {
  command = plan

  variables {
    persistence            = { agent_registry = "paper" }
    attach_access_to_roles = { agent_registry = { roles = ["someone"], access = "root" } }
    agent_profiles         = { capacity = { billing_mode = "FREE" } }
    agent_sessions         = { reply = { backend = "parrot" } }
    chat_sessions          = { session_ttl_base = "birthday" }
    token_claims           = { user = "two words" }
    table_encryption       = { type = "ROT13" }
    function_defaults      = { log_level = "LOUD" }
    functions              = { pet_store = { log_level = "loud" } }
    api_auth               = "password"
    alarms                 = { subscribers = { ops = { protocol = "pigeon", endpoint = "loft" } } }
    name_prefix            = "Agent State"
  }

  expect_failures = [var.persistence, var.attach_access_to_roles, var.agent_profiles, var.agent_sessions, var.chat_sessions, var.token_claims, var.table_encryption, var.function_defaults, var.functions, var.api_auth, var.alarms, var.name_prefix]
}

run "references_that_lead_nowhere" {
  command = plan

  variables {
    attach_access_to_roles = { agent_registry = { roles = ["arn:aws:iam::123456789012:role/planner"] } }
    agent_sessions         = { reply = { backend = "http", url = "http://agent.example.com", key_secret_arn = "the-key-itself" } }
    table_encryption       = { type = "CUSTOMER_MANAGED" }
    function_defaults      = { architecture = "riscv" }
    alarms                 = { topic_arn = "arn:aws:sns:eu-north-1:123456789012:alarms.fifo" }
  }

  expect_failures = [var.attach_access_to_roles, var.agent_sessions, var.table_encryption, var.function_defaults, var.alarms]
}

run "settings_that_contradict_each_other" {
  command = plan

  variables {
    agent_sessions = { reply = {
      backend            = "http"
      url                = "https://agent.example.com"
      key_secret_arn     = "arn:aws:secretsmanager:eu-north-1:123456789012:secret:key-AbCdEf"
      key_parameter_name = "/agent/key"
    } }
    table_encryption  = { kms_key_arn = "arn:aws:kms:eu-north-1:123456789012:key/1234" }
    function_defaults = { memory_megabytes = 64 }
    alarms            = { topic_arn = "arn:aws:sns:eu-north-1:123456789012:alarms", topic_kms_key_arn = "arn:aws:kms:eu-north-1:123456789012:key/1234" }
  }

  expect_failures = [var.agent_sessions, var.table_encryption, var.function_defaults, var.alarms]
}

run "replies_over_http_without_a_key" {
  command = plan

  variables {
    agent_sessions = { reply = { backend = "http", url = "https://agent.example.com" } }
  }

  expect_failures = [var.agent_sessions]
}

run "open_to_anybody_outside_of_local" {
  command = plan

  variables {
    api_auth = "none"
  }

  expect_failures = [var.api_auth]
}

run "functions_that_were_not_built" {
  command = plan

  variables {
    lambda_manifest = "tests/fixtures/nothing.json"
  }

  expect_failures = [var.lambda_manifest]
}

run "a_function_that_was_not_built" {
  command = plan

  variables {
    lambda_manifest = "tests/fixtures/manifest_without_functions.json"
  }

  expect_failures = [var.lambda_manifest]
}

run "path_without_a_slash" {
  command = plan

  variables {
    parameter_path = "agents"
  }

  expect_failures = [var.parameter_path]
}

run "path_with_a_slash_at_the_end" {
  command = plan

  variables {
    parameter_path = "/agents/"
  }

  expect_failures = [var.parameter_path]
}

run "path_with_a_space" {
  command = plan

  variables {
    parameter_path = "/our agents"
  }

  expect_failures = [var.parameter_path]
}

run "path_deeper_than_ssm_goes" {
  command = plan

  variables {
    parameter_path = "/a/b/c/d/e/f/g/h/i/j/k"
  }

  expect_failures = [var.parameter_path]
}

run "path_that_ssm_keeps_to_itself" {
  command = plan

  variables {
    parameter_path = "/AWS/agents"
  }

  expect_failures = [var.parameter_path]
}

run "prefix_that_makes_such_a_path" {
  command = plan

  variables {
    name_prefix = "ssm-agents"
  }

  expect_failures = [var.parameter_path]
}

run "two_keys_at_once" {
  command = plan

  variables {
    table_encryption = { type = "CUSTOMER_MANAGED", kms_key_arn = "arn:aws:kms:eu-north-1:123456789012:key/1234", create_kms_key = {} }
  }

  expect_failures = [var.table_encryption]
}

run "a_key_that_nothing_uses" {
  command = plan

  variables {
    table_encryption = { create_kms_key = {} }
  }

  expect_failures = [var.table_encryption]
}

run "an_excluded_table_that_is_none" {
  command = plan

  variables {
    backup = { exclude = ["agent_registry.agent"] }
  }

  expect_failures = [var.backup]
}

run "an_endpoint_to_nothing" {
  command = plan

  variables {
    systems               = []
    dynamodb_vpc_endpoint = { vpc_id = "vpc-0a1b2c3d", route_table_ids = ["rtb-0a1b2c3d"] }
  }

  expect_failures = [var.dynamodb_vpc_endpoint]
}

# What is refused hides what depends on it: tables looks at index_migrations, and adopt_tables at extra_tables.

run "names_that_nothing_has" {
  command = plan

  variables {
    tables       = { "agent_registry.agent" = { deletion_protection = false } }
    extra_tables = { Orders = { hash_key = { name = "id", type = "S" }, deletion_protecton = true } }
  }

  expect_failures = [var.tables, var.extra_tables]
}

run "indexes_and_tables_that_do_not_exist" {
  command = plan

  variables {
    index_migrations = { "agent_registry.agents/ByJob" = { name = "ByJob2" } }
    adopt_tables     = ["Order"]
  }

  expect_failures = [var.index_migrations, var.adopt_tables]
}

run "parts_of_tables_that_are_not_adopted" {
  command = plan

  variables {
    adopt_table_parts = { AgentRegistry = { autoscaling = ["index CapabilityIndex capacity"] } }
  }

  expect_failures = [var.adopt_table_parts]
}

run "values_that_dynamodb_refuses" {
  command = plan

  variables {
    tables       = { "agent_registry.agents" = { point_in_time_recovery_days = 36 } }
    extra_tables = { AgentRegistry = { hash_key = { name = "id", type = "S" } } }
  }

  expect_failures = [var.tables, var.extra_tables]
}

run "values_that_mean_nothing" {
  command = plan

  variables {
    tables       = { "agent_registry.agents" = { billing_mode = "FREE" } }
    extra_tables = { Orders = { hash_key = { name = "id", type = "S" }, indexes = { ByDay = { hash = "day" } } } }
  }

  expect_failures = [var.tables, var.extra_tables]
}

run "a_key_that_is_missing" {
  command = plan

  variables {
    tables       = { "agent_registry.agents" = { indexes = { ByOwner = { projection_type = "ALL" } } } }
    extra_tables = { Orders = { range_key = { name = "id", type = "S" } } }
  }

  expect_failures = [var.tables, var.extra_tables]
}

run "a_stage_that_does_not_exist" {
  command = plan

  variables {
    index_migrations = { "agent_registry.agents/CapabilityIndex" = { name = "CapabilityIndex2", stage = "half" } }
  }

  expect_failures = [var.index_migrations]
}

run "an_index_in_its_own_place" {
  command = plan

  variables {
    index_migrations = { "agent_registry.agents/CapabilityIndex" = { name = "CapabilityIndex", stage = "add" } }
  }

  expect_failures = [var.index_migrations]
}

run "tokens_of_nobody" {
  command = plan

  variables {
    api_auth = "jwt"
  }

  expect_failures = [var.api_jwt]
}

run "tokens_of_two_issuers" {
  command = plan

  variables {
    api_auth = "jwt"
    api_jwt  = { issuer = "https://issuer.example.com", audiences = ["agents"], cognito = {} }
  }

  expect_failures = [var.api_jwt]
}

run "an_issuer_in_the_clear" {
  command = plan

  variables {
    api_jwt = { issuer = "http://issuer.example.com", audiences = ["agents"] }
  }

  expect_failures = [var.api_jwt]
}

run "tokens_for_any_api" {
  command = plan

  variables {
    api_jwt = { issuer = "https://issuer.example.com" }
  }

  expect_failures = [var.api_jwt]
}

run "scopes_of_an_unknown_route" {
  command = plan

  variables {
    api_jwt = { scopes = { pet_store = { "DELETE /pets/{id}" = ["pets.delete"] } } }
  }

  expect_failures = [var.api_jwt]
}

run "scopes_of_an_unknown_system" {
  command = plan

  variables {
    api_jwt = { scopes = { toaster = { read = ["toast"] } } }
  }

  expect_failures = [var.api_jwt]
}

run "a_tenant_under_a_name_that_cognito_keeps" {
  command = plan

  variables {
    api_jwt      = { cognito = {} }
    token_claims = { tenant = "client_id" }
  }

  expect_failures = [var.api_jwt]
}

run "a_user_that_cognito_does_not_tell" {
  command = plan

  variables {
    api_jwt      = { cognito = {} }
    token_claims = { user = "email" }
  }

  expect_failures = [var.api_jwt]
}
