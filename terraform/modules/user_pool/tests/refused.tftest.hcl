# Each run is refused for one reason; all else in it is right.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  pool           = { name = "agents" }
  scopes         = { "agents.read" = "Look" }
  token_function = { name = "tokens", alias_name = "live", alias_arn = "arn:aws:lambda:eu-north-1:123456789012:function:tokens:live" }
}

run "a_name_with_blanks" {
  command = plan

  variables {
    pool = { name = "my agents" }
  }

  expect_failures = [var.pool]
}

run "tokens_for_a_minute" {
  command = plan

  variables {
    pool = { name = "agents", access_token_minutes = 4 }
  }

  expect_failures = [var.pool]
}

run "tokens_for_two_days" {
  command = plan

  variables {
    pool = { name = "agents", access_token_minutes = 2880 }
  }

  expect_failures = [var.pool]
}

run "refreshed_for_ever" {
  command = plan

  variables {
    pool = { name = "agents", refresh_token_days = 3651 }
  }

  expect_failures = [var.pool]
}

run "a_scope_with_blanks" {
  command = plan

  variables {
    scopes = { "read agents" = "Look" }
  }

  expect_failures = [var.scopes]
}

run "a_scope_of_which_nothing_is_said" {
  command = plan

  variables {
    scopes = { "agents.read" = "" }
  }

  expect_failures = [var.scopes]
}

run "a_domain_that_cognito_keeps" {
  command = plan

  variables {
    sign_in_page = { domain_prefix = "my-cognito", callback_urls = ["https://app.example.com"] }
  }

  expect_failures = [var.sign_in_page]
}

run "people_sent_back_in_the_clear" {
  command = plan

  variables {
    sign_in_page = { domain_prefix = "agents", callback_urls = ["http://app.example.com"] }
  }

  expect_failures = [var.sign_in_page]
}

run "people_sent_back_nowhere" {
  command = plan

  variables {
    sign_in_page = { domain_prefix = "agents", callback_urls = [] }
  }

  expect_failures = [var.sign_in_page]
}
