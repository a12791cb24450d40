mock_provider "aws" {
  source = "./tests/mocks"
}

run "a_name_that_is_too_long" {
  command = plan

  variables {
    backup = {
      name       = "a-name-of-more-than-fifty-characters-that-aws-would-refuse"
      table_arns = []
    }
  }

  expect_failures = [var.backup]
}

run "no_rules" {
  command = plan

  variables {
    backup = {
      name       = "agents-backup"
      table_arns = ["arn:aws:dynamodb:eu-north-1:123456789012:table/Agents"]
      rules      = {}
    }
  }

  expect_failures = [var.backup]
}

run "a_schedule_of_five_fields" {
  command = plan

  variables {
    backup = {
      name       = "agents-backup"
      table_arns = ["arn:aws:dynamodb:eu-north-1:123456789012:table/Agents"]
      rules      = { daily = { schedule = "cron(0 5 * * *)" } }
    }
  }

  expect_failures = [var.backup]
}

run "a_start_window_below_an_hour" {
  command = plan

  variables {
    backup = {
      name       = "agents-backup"
      table_arns = ["arn:aws:dynamodb:eu-north-1:123456789012:table/Agents"]
      rules      = { daily = { schedule = "cron(0 5 * * ? *)", start_window_minutes = 30 } }
    }
  }

  expect_failures = [var.backup]
}

run "no_time_to_complete" {
  command = plan

  variables {
    backup = {
      name       = "agents-backup"
      table_arns = ["arn:aws:dynamodb:eu-north-1:123456789012:table/Agents"]
      rules      = { daily = { schedule = "cron(0 5 * * ? *)", start_window_minutes = 120, completion_window_minutes = 179 } }
    }
  }

  expect_failures = [var.backup]
}

run "kept_for_no_day" {
  command = plan

  variables {
    backup = {
      name       = "agents-backup"
      table_arns = ["arn:aws:dynamodb:eu-north-1:123456789012:table/Agents"]
      rules      = { daily = { schedule = "cron(0 5 * * ? *)", delete_after_days = 0 } }
    }
  }

  expect_failures = [var.backup]
}

run "too_short_in_cold_storage" {
  command = plan

  variables {
    backup = {
      name       = "agents-backup"
      table_arns = ["arn:aws:dynamodb:eu-north-1:123456789012:table/Agents"]
      rules      = { daily = { schedule = "cron(0 5 * * ? *)", cold_storage_after_days = 30, delete_after_days = 119 } }
    }
  }

  expect_failures = [var.backup]
}

run "a_copy_to_a_default_vault" {
  command = plan

  variables {
    backup = {
      name       = "agents-backup"
      table_arns = ["arn:aws:dynamodb:eu-north-1:123456789012:table/Agents"]
      rules      = { daily = { schedule = "cron(0 5 * * ? *)", copy_to_vault_arns = ["arn:aws:backup:eu-west-1:210987654321:backup-vault:Default"] } }
    }
  }

  expect_failures = [var.backup]
}

run "a_copy_to_no_vault" {
  command = plan

  variables {
    backup = {
      name       = "agents-backup"
      table_arns = ["arn:aws:dynamodb:eu-north-1:123456789012:table/Agents"]
      rules      = { daily = { schedule = "cron(0 5 * * ? *)", copy_to_vault_arns = ["copies"] } }
    }
  }

  expect_failures = [var.backup]
}

run "a_lock_upside_down" {
  command = plan

  variables {
    backup = {
      name       = "agents-backup"
      table_arns = ["arn:aws:dynamodb:eu-north-1:123456789012:table/Agents"]
      rules      = { daily = { schedule = "cron(0 5 * * ? *)", delete_after_days = 30 } }
      lock       = { min_retention_days = 31, max_retention_days = 30 }
    }
  }

  expect_failures = [var.backup]
}

run "a_lock_without_time_to_think" {
  command = plan

  variables {
    backup = {
      name       = "agents-backup"
      table_arns = ["arn:aws:dynamodb:eu-north-1:123456789012:table/Agents"]
      lock       = { changeable_for_days = 2 }
    }
  }

  expect_failures = [var.backup]
}

run "less_than_the_lock_keeps" {
  command = plan

  variables {
    backup = {
      name       = "agents-backup"
      table_arns = ["arn:aws:dynamodb:eu-north-1:123456789012:table/Agents"]
      rules      = { daily = { schedule = "cron(0 5 * * ? *)", delete_after_days = 6 } }
      lock       = {}
    }
  }

  expect_failures = [var.backup]
}

run "more_than_the_lock_keeps" {
  command = plan

  variables {
    backup = {
      name       = "agents-backup"
      table_arns = ["arn:aws:dynamodb:eu-north-1:123456789012:table/Agents"]
      lock       = { max_retention_days = 364 }
    }
  }

  expect_failures = [var.backup]
}

run "for_ever_where_the_lock_has_an_end" {
  command = plan

  variables {
    backup = {
      name       = "agents-backup"
      table_arns = ["arn:aws:dynamodb:eu-north-1:123456789012:table/Agents"]
      rules      = { daily = { schedule = "cron(0 5 * * ? *)" } }
      lock       = { max_retention_days = 400 }
    }
  }

  expect_failures = [var.backup]
}

run "what_is_no_table" {
  command = plan

  variables {
    backup = {
      name       = "agents-backup"
      table_arns = ["arn:aws:s3:::bucket"]
    }
  }

  expect_failures = [var.backup]
}
