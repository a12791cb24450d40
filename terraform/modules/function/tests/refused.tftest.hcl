# Each run is refused for one reason; all else in it is right.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  function = { name = "agents" }
  package = {
    zip              = "tests/fixtures/function.zip"
    handler          = "handler.handler"
    source_code_hash = "Sq3Jps4oRFO7cnxNcRNhPsuPwqgVJiasxY3cddv8gPI="
  }
}

run "name_with_a_space" {
  command = plan

  variables {
    function = { name = "my function" }
  }

  expect_failures = [var.function]
}

run "reserved_concurrency_below_zero" {
  command = plan

  variables {
    function = { name = "agents", reserved_concurrency = -1 }
  }

  expect_failures = [var.function]
}

run "environment_with_a_name_of_lambdas_own" {
  command = plan

  variables {
    function = { name = "agents", environment = { AWS_REGION = "eu-north-1" } }
  }

  expect_failures = [var.function]
}

run "environment_with_a_bad_name" {
  command = plan

  variables {
    function = { name = "agents", environment = { "A-B" = "1" } }
  }

  expect_failures = [var.function]
}

run "pin_that_is_no_published_version" {
  command = plan

  variables {
    function = { name = "agents", pinned_version = "$LATEST" }
  }

  expect_failures = [var.function]
}

run "alias_that_reads_like_a_version" {
  command = plan

  variables {
    function = { name = "agents", alias = "7" }
  }

  expect_failures = [var.function]
}

run "snap_start_on_an_old_runtime" {
  command = plan

  variables {
    function = { name = "agents", runtime = "python3.11", snap_start = true }
  }

  expect_failures = [var.function]
}

run "snap_start_with_provisioned_concurrency" {
  command = plan

  variables {
    function = { name = "agents", snap_start = true, provisioned_concurrency = 1 }
  }

  expect_failures = [var.function]
}

run "provisioned_concurrency_below_zero" {
  command = plan

  variables {
    function = { name = "agents", provisioned_concurrency = -1 }
  }

  expect_failures = [var.function]
}

run "more_provisioned_than_reserved" {
  command = plan

  variables {
    function = { name = "agents", provisioned_concurrency = 3, reserved_concurrency = 2 }
  }

  expect_failures = [var.function]
}

run "unknown_log_level" {
  command = plan

  variables {
    function = { name = "agents", json_logging = { application_level = "LOUD" } }
  }

  expect_failures = [var.function]
}

run "dead_letters_to_a_fifo_queue" {
  command = plan

  variables {
    function = { name = "agents", dead_letter_arn = "arn:aws:sqs:eu-north-1:123456789012:lost.fifo" }
  }

  expect_failures = [var.function]
}

run "vpc_without_security_group" {
  command = plan

  variables {
    function = { name = "agents", vpc = { subnet_ids = ["subnet-1"], security_group_ids = [] } }
  }

  expect_failures = [var.function]
}

run "retention_that_logs_do_not_know" {
  command = plan

  variables {
    function = { name = "agents", log_retention_days = 31 }
  }

  expect_failures = [var.function]
}

run "role_path_without_slashes" {
  command = plan

  variables {
    function = { name = "agents", role_path = "agents" }
  }

  expect_failures = [var.function]
}

run "boundary_by_name" {
  command = plan

  variables {
    function = { name = "agents", permissions_boundary_arn = "boundary" }
  }

  expect_failures = [var.function]
}

run "sid_with_a_hyphen" {
  command = plan

  variables {
    statements = { "my-table" = { actions = ["dynamodb:GetItem"], resources = ["arn:aws:dynamodb:eu-north-1:123456789012:table/Agents"] } }
  }

  expect_failures = [var.statements]
}

run "action_with_a_wildcard" {
  command = plan

  variables {
    statements = { Agents = { actions = ["dynamodb:Get*"], resources = ["arn:aws:dynamodb:eu-north-1:123456789012:table/Agents"] } }
  }

  expect_failures = [var.statements]
}

run "resource_of_everything" {
  command = plan

  variables {
    statements = { Agents = { actions = ["dynamodb:GetItem"], resources = ["*"] } }
  }

  expect_failures = [var.statements]
}

run "statement_without_resources" {
  command = plan

  variables {
    statements = { Agents = { actions = ["dynamodb:GetItem"], resources = [] } }
  }

  expect_failures = [var.statements]
}

run "permission_for_anybody" {
  command = plan

  variables {
    permissions = { anybody = { principal = "*" } }
  }

  expect_failures = [var.permissions]
}

run "permission_for_a_service_on_behalf_of_anybody" {
  command = plan

  variables {
    permissions = { events = { principal = "events.amazonaws.com" } }
  }

  expect_failures = [var.permissions]
}

run "alarm_period_of_ten_seconds" {
  command = plan

  variables {
    alarms = { period_seconds = 10 }
  }

  expect_failures = [var.alarms]
}

run "alarm_over_a_hundred_percent" {
  command = plan

  variables {
    alarms = { duration_percent = 120 }
  }

  expect_failures = [var.alarms]
}

run "alarm_threshold_below_zero" {
  command = plan

  variables {
    alarms = { errors = -1 }
  }

  expect_failures = [var.alarms]
}

run "a_zip_that_is_not_the_manifests" {
  command = plan

  variables {
    package = { zip = "tests/fixtures/function.zip", handler = "handler.handler", source_code_hash = "AAAA" }
  }

  expect_failures = [aws_lambda_function.this]
}

run "a_zip_that_is_missing" {
  command = plan

  variables {
    package = { zip = "tests/fixtures/nothing.zip", handler = "handler.handler", source_code_hash = "AAAA" }
  }

  expect_failures = [aws_lambda_function.this]
}
