# Each run is refused for one reason; all else in it is right.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  api     = { name = "agents" }
  systems = { agents = { openapi = "tests/fixtures/agents.yaml", function_name = "agents", alias_name = "live", alias_invoke_arn = "arn" } }
}

run "name_missing" {
  command = plan

  variables {
    api = { name = "" }
  }

  expect_failures = [var.api]
}

run "unknown_authorization" {
  command = plan

  variables {
    api = { name = "agents", authorization = "password" }
  }

  expect_failures = [var.api]
}

run "throttled_to_nothing" {
  command = plan

  variables {
    api = { name = "agents", throttling = { rate_limit = 0 } }
  }

  expect_failures = [var.api]
}

run "integration_timeout_over_thirty_seconds" {
  command = plan

  variables {
    api = { name = "agents", integration_timeout_milliseconds = 30001 }
  }

  expect_failures = [var.api]
}

run "retention_that_logs_do_not_know" {
  command = plan

  variables {
    api = { name = "agents", log_retention_days = 31 }
  }

  expect_failures = [var.api]
}

run "no_system" {
  command = plan

  variables {
    systems = {}
  }

  expect_failures = [var.systems]
}

run "openapi_file_that_is_missing" {
  command = plan

  variables {
    systems = { agents = { openapi = "tests/fixtures/nothing.yaml", function_name = "agents", alias_name = "live", alias_invoke_arn = "arn" } }
  }

  expect_failures = [var.systems]
}

run "alarm_period_of_ten_seconds" {
  command = plan

  variables {
    alarms = { period_seconds = 10 }
  }

  expect_failures = [var.alarms]
}

run "alarm_threshold_below_zero" {
  command = plan

  variables {
    alarms = { server_errors = -1 }
  }

  expect_failures = [var.alarms]
}

run "two_systems_claiming_one_path" {
  command = plan

  variables {
    systems = {
      agents = { openapi = "tests/fixtures/agents.yaml", function_name = "agents", alias_name = "live", alias_invoke_arn = "arn" }
      rivals = { openapi = "tests/fixtures/rivals.yaml", function_name = "rivals", alias_name = "live", alias_invoke_arn = "arn" }
    }
  }

  expect_failures = [aws_apigatewayv2_api.this]
}

run "two_systems_claiming_the_very_same_path" {
  command = plan

  variables {
    systems = {
      agents = { openapi = "tests/fixtures/agents.yaml", function_name = "agents", alias_name = "live", alias_invoke_arn = "arn" }
      copies = { openapi = "tests/fixtures/agents.yaml", function_name = "copies", alias_name = "live", alias_invoke_arn = "arn" }
    }
  }

  expect_failures = [aws_apigatewayv2_api.this]
}
