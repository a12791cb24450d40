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

run "tokens_of_nobody" {
  command = plan

  variables {
    api = { name = "agents", authorization = "jwt" }
  }

  expect_failures = [var.api]
}

run "tokens_that_nobody_asks_for" {
  command = plan

  variables {
    api = { name = "agents", jwt = { issuer = "https://issuer.example.com", audiences = ["agents"] } }
  }

  expect_failures = [var.api]
}

run "an_issuer_by_its_discovery_document" {
  command = plan

  variables {
    api = { name = "agents", authorization = "jwt", jwt = { issuer = "https://issuer.example.com/.well-known/openid-configuration", audiences = ["agents"] } }
  }

  expect_failures = [var.api]
}

run "an_issuer_without_its_scheme" {
  command = plan

  variables {
    api = { name = "agents", authorization = "jwt", jwt = { issuer = "issuer.example.com", audiences = ["agents"] } }
  }

  expect_failures = [var.api]
}

run "tokens_for_anybody" {
  command = plan

  variables {
    api = { name = "agents", authorization = "jwt", jwt = { issuer = "https://issuer.example.com", audiences = [] } }
  }

  expect_failures = [var.api]
}

run "scopes_of_a_route_that_is_not_there" {
  command = plan

  variables {
    systems = { agents = { openapi = "tests/fixtures/agents.yaml", function_name = "agents", alias_name = "live", alias_invoke_arn = "arn", scopes = { "PUT /agents" = ["x"] } } }
  }

  expect_failures = [var.systems]
}

run "scopes_in_one_text" {
  command = plan

  variables {
    systems = { agents = { openapi = "tests/fixtures/agents.yaml", function_name = "agents", alias_name = "live", alias_invoke_arn = "arn", scopes = { read = ["a b"] } } }
  }

  expect_failures = [var.systems]
}

run "more_scopes_than_a_route_takes" {
  command = plan

  variables {
    systems = { agents = { openapi = "tests/fixtures/agents.yaml", function_name = "agents", alias_name = "live", alias_invoke_arn = "arn", scopes = { read = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"] } } }
  }

  expect_failures = [var.systems]
}
