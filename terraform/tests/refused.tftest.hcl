# Each variable in `expect_failures` is refused for one reason; all else in the run is right.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  environment     = "dev"
  lambda_manifest = "tests/fixtures/manifest.json"
}

run "places_and_names_of_a_wrong_shape" {
  command = plan

  variables {
    environment    = "Dev"
    aws_region     = "stockholm"
    aws_account_id = "1234"
    tags           = { "aws:mine" = "yes" }
    systems        = ["toaster"]
    persistence    = { toaster = "dynamodb" }
    idempotency    = { table_name = "no spaces" }
  }

  expect_failures = [var.environment, var.aws_region, var.aws_account_id, var.tags, var.systems, var.persistence, var.idempotency]
}

run "numbers_below_their_bounds" {
  command = plan

  variables {
    idempotency                 = { ttl_seconds = 59 }
    point_in_time_recovery_days = 0
    function_defaults           = { timeout_seconds = 0 }
    api_throttling              = { rate_limit = 0 }
    alarms                      = { user_errors = -1 }
    budgets                     = { query_milliseconds = 0 }
  }

  expect_failures = [var.idempotency, var.point_in_time_recovery_days, var.function_defaults, var.api_throttling, var.alarms, var.budgets]
}

run "numbers_above_their_bounds" {
  command = plan

  variables {
    point_in_time_recovery_days = 36
    function_defaults           = { timeout_seconds = 30 }
    agent_registry              = { function = { timeout_seconds = 30 } }
    api_throttling              = { burst_limit = 5001 }
    alarms                      = { period_seconds = 10 }
    name_prefix                 = "a-prefix-that-leaves-no-room-for-the-rest-of-names"
  }

  expect_failures = [var.point_in_time_recovery_days, var.function_defaults, var.agent_registry, var.api_throttling, var.alarms, var.name_prefix]
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

  expect_failures = [var.agent_registry]
}

run "words_that_mean_nothing" {
  command = plan

  variables {
    persistence       = { agent_registry = "paper" }
    agent_registry    = { attached_access = "root" }
    table_encryption  = { type = "ROT13" }
    function_defaults = { log_level = "LOUD" }
    api_auth          = "password"
    alarms            = { subscribers = { ops = { protocol = "pigeon", endpoint = "loft" } } }
    name_prefix       = "Agent State"
  }

  expect_failures = [var.persistence, var.agent_registry, var.table_encryption, var.function_defaults, var.api_auth, var.alarms, var.name_prefix]
}

run "references_that_lead_nowhere" {
  command = plan

  variables {
    agent_registry    = { attach_access_to_roles = ["arn:aws:iam::123456789012:role/planner"] }
    table_encryption  = { type = "CUSTOMER_MANAGED" }
    function_defaults = { architecture = "riscv" }
    alarms            = { topic_arn = "arn:aws:sns:eu-north-1:123456789012:alarms.fifo" }
  }

  expect_failures = [var.agent_registry, var.table_encryption, var.function_defaults, var.alarms]
}

run "settings_that_contradict_each_other" {
  command = plan

  variables {
    idempotency       = { table_name = "AgentRegistry" }
    table_encryption  = { kms_key_arn = "arn:aws:kms:eu-north-1:123456789012:key/1234" }
    function_defaults = { memory_megabytes = 64 }
    alarms            = { topic_arn = "arn:aws:sns:eu-north-1:123456789012:alarms", topic_kms_key_arn = "arn:aws:kms:eu-north-1:123456789012:key/1234" }
  }

  expect_failures = [var.idempotency, var.table_encryption, var.function_defaults, var.alarms]
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
