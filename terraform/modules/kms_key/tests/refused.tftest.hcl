mock_provider "aws" {
  source = "./tests/mocks"
}

run "an_alias_that_kms_keeps" {
  command = plan

  variables {
    key = { alias = "aws/agents" }
  }

  expect_failures = [var.key]
}

run "an_alias_with_its_prefix" {
  command = plan

  variables {
    key = { alias = "alias/agents" }
  }

  expect_failures = [var.key]
}

run "too_little_time_between_rotations" {
  command = plan

  variables {
    key = { alias = "agents", rotation_days = 89 }
  }

  expect_failures = [var.key]
}

run "too_much_time_between_rotations" {
  command = plan

  variables {
    key = { alias = "agents", rotation_days = 2561 }
  }

  expect_failures = [var.key]
}

run "deleted_too_soon" {
  command = plan

  variables {
    key = { alias = "agents", deletion_window_days = 6 }
  }

  expect_failures = [var.key]
}

run "deleted_too_late" {
  command = plan

  variables {
    key = { alias = "agents", deletion_window_days = 31 }
  }

  expect_failures = [var.key]
}

run "a_session_as_administrator" {
  command = plan

  variables {
    key = { alias = "agents", administrator_arns = ["arn:aws:sts::123456789012:assumed-role/deploy/me"] }
  }

  expect_failures = [var.key]
}

run "everybody_as_administrator" {
  command = plan

  variables {
    key = { alias = "agents", administrator_arns = ["arn:aws:iam::123456789012:role/*"] }
  }

  expect_failures = [var.key]
}

run "a_session_as_user" {
  command = plan

  variables {
    key = { alias = "agents", user_arns = ["arn:aws:sts::123456789012:assumed-role/deploy/me"] }
  }

  expect_failures = [var.key]
}
