# Each run is refused for one reason; all else in it is right.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  table = {
    name     = "Agents"
    hash_key = { name = "agentId", type = "S" }
  }
}

run "name_too_short" {
  command = plan

  variables {
    table = {
      name     = "ab"
      hash_key = { name = "agentId", type = "S" }
    }
  }

  expect_failures = [var.table]
}

run "name_with_a_space" {
  command = plan

  variables {
    table = {
      name     = "my table"
      hash_key = { name = "agentId", type = "S" }
    }
  }

  expect_failures = [var.table]
}

run "key_of_unknown_type" {
  command = plan

  variables {
    table = {
      name     = "Agents"
      hash_key = { name = "agentId", type = "BOOL" }
    }
  }

  expect_failures = [aws_dynamodb_table.this]
}

run "one_attribute_with_two_types" {
  command = plan

  variables {
    table = {
      name     = "Agents"
      hash_key = { name = "agentId", type = "S" }
      indexes  = { ByAgent = { hash_key = { name = "agentId", type = "N" } } }
    }
  }

  expect_failures = [aws_dynamodb_table.this]
}

run "hash_and_range_key_the_same" {
  command = plan

  variables {
    table = {
      name      = "Agents"
      hash_key  = { name = "agentId", type = "S" }
      range_key = { name = "agentId", type = "S" }
    }
  }

  expect_failures = [aws_dynamodb_table.this]
}

run "index_keys_the_same" {
  command = plan

  variables {
    table = {
      name     = "Agents"
      hash_key = { name = "agentId", type = "S" }
      indexes  = { ByJob = { hash_key = { name = "job", type = "S" }, range_key = { name = "job", type = "S" } } }
    }
  }

  expect_failures = [aws_dynamodb_table.this]
}

run "twenty_one_indexes" {
  command = plan

  variables {
    table = {
      name     = "Agents"
      hash_key = { name = "agentId", type = "S" }
      indexes  = { for number in range(21) : "index-${number}" => { hash_key = { name = "key${number}", type = "S" } } }
    }
  }

  expect_failures = [var.table]
}

run "index_name_too_short" {
  command = plan

  variables {
    table = {
      name     = "Agents"
      hash_key = { name = "agentId", type = "S" }
      indexes  = { "a" = { hash_key = { name = "job", type = "S" } } }
    }
  }

  expect_failures = [var.table]
}

run "unknown_projection" {
  command = plan

  variables {
    table = {
      name     = "Agents"
      hash_key = { name = "agentId", type = "S" }
      indexes  = { ByJob = { hash_key = { name = "job", type = "S" }, projection_type = "SOME" } }
    }
  }

  expect_failures = [var.table]
}

run "include_without_attributes" {
  command = plan

  variables {
    table = {
      name     = "Agents"
      hash_key = { name = "agentId", type = "S" }
      indexes  = { ByJob = { hash_key = { name = "job", type = "S" }, projection_type = "INCLUDE" } }
    }
  }

  expect_failures = [var.table]
}

run "attributes_without_include" {
  command = plan

  variables {
    table = {
      name     = "Agents"
      hash_key = { name = "agentId", type = "S" }
      indexes  = { ByJob = { hash_key = { name = "job", type = "S" }, non_key_attributes = ["title"] } }
    }
  }

  expect_failures = [var.table]
}

run "provisioned_without_capacity" {
  command = plan

  variables {
    table = {
      name          = "Agents"
      hash_key      = { name = "agentId", type = "S" }
      billing_mode  = "PROVISIONED"
      read_capacity = 5
    }
  }

  expect_failures = [aws_dynamodb_table.this]
}

run "provisioned_index_with_less_than_one_unit" {
  command = plan

  variables {
    table = {
      name           = "Agents"
      hash_key       = { name = "agentId", type = "S" }
      billing_mode   = "PROVISIONED"
      read_capacity  = 5
      write_capacity = 5
      indexes        = { ByJob = { hash_key = { name = "job", type = "S" }, write_capacity = 0 } }
    }
  }

  expect_failures = [aws_dynamodb_table.this]
}

run "provisioned_capacity_of_zero" {
  command = plan

  variables {
    table = {
      name           = "Agents"
      hash_key       = { name = "agentId", type = "S" }
      billing_mode   = "PROVISIONED"
      read_capacity  = 0
      write_capacity = 5
    }
  }

  expect_failures = [aws_dynamodb_table.this]
}

run "on_demand_with_capacity" {
  command = plan

  variables {
    table = {
      name          = "Agents"
      hash_key      = { name = "agentId", type = "S" }
      read_capacity = 5
    }
  }

  expect_failures = [aws_dynamodb_table.this]
}

run "on_demand_index_with_capacity" {
  command = plan

  variables {
    table = {
      name     = "Agents"
      hash_key = { name = "agentId", type = "S" }
      indexes  = { ByJob = { hash_key = { name = "job", type = "S" }, write_capacity = 5 } }
    }
  }

  expect_failures = [aws_dynamodb_table.this]
}

run "ttl_without_attribute" {
  command = plan

  variables {
    table = {
      name     = "Agents"
      hash_key = { name = "agentId", type = "S" }
      ttl      = { attribute = "" }
    }
  }

  expect_failures = [var.table]
}

run "ttl_on_a_key_that_is_text" {
  command = plan

  variables {
    table = {
      name     = "Agents"
      hash_key = { name = "agentId", type = "S" }
      ttl      = { attribute = "agentId" }
    }
  }

  expect_failures = [aws_dynamodb_table.this]
}

run "unknown_encryption" {
  command = plan

  variables {
    table = {
      name       = "Agents"
      hash_key   = { name = "agentId", type = "S" }
      encryption = { type = "NONE" }
    }
  }

  expect_failures = [var.table]
}

run "customer_managed_without_key" {
  command = plan

  variables {
    table = {
      name       = "Agents"
      hash_key   = { name = "agentId", type = "S" }
      encryption = { type = "CUSTOMER_MANAGED" }
    }
  }

  expect_failures = [var.table]
}

run "key_without_customer_managed" {
  command = plan

  variables {
    table = {
      name       = "Agents"
      hash_key   = { name = "agentId", type = "S" }
      encryption = { kms_key_arn = "arn:aws:kms:eu-north-1:123456789012:key/1234" }
    }
  }

  expect_failures = [var.table]
}

run "key_by_alias" {
  command = plan

  variables {
    table = {
      name       = "Agents"
      hash_key   = { name = "agentId", type = "S" }
      encryption = { type = "CUSTOMER_MANAGED", kms_key_arn = "alias/mine" }
    }
  }

  expect_failures = [var.table]
}

run "unknown_stream_view" {
  command = plan

  variables {
    table = {
      name             = "Agents"
      hash_key         = { name = "agentId", type = "S" }
      stream_view_type = "EVERYTHING"
    }
  }

  expect_failures = [var.table]
}

run "unknown_table_class" {
  command = plan

  variables {
    table = {
      name        = "Agents"
      hash_key    = { name = "agentId", type = "S" }
      table_class = "CHEAP"
    }
  }

  expect_failures = [var.table]
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
    alarms = { system_errors = -1 }
  }

  expect_failures = [var.alarms]
}

run "alarm_on_an_operation_without_metric" {
  command = plan

  variables {
    alarms = { system_error_operations = ["DescribeTable"] }
  }

  expect_failures = [var.alarms]
}

run "autoscaling_of_an_on_demand_table" {
  command = plan

  variables {
    table = { name = "Agents", hash_key = { name = "agentId", type = "S" }, autoscaling = { read = { max = 10 } } }
  }

  expect_failures = [aws_dynamodb_table.this]
}

run "autoscaling_that_begins_beyond_its_maximum" {
  command = plan

  variables {
    table = {
      name           = "Agents"
      hash_key       = { name = "agentId", type = "S" }
      billing_mode   = "PROVISIONED"
      read_capacity  = 10
      write_capacity = 10
      autoscaling    = { read = { max = 9 } }
    }
  }

  expect_failures = [aws_dynamodb_table.this]
}

run "autoscaling_at_an_impossible_target" {
  command = plan

  variables {
    table = {
      name           = "Agents"
      hash_key       = { name = "agentId", type = "S" }
      billing_mode   = "PROVISIONED"
      read_capacity  = 10
      write_capacity = 10
      autoscaling    = { write = { max = 20, target_percent = 95 } }
    }
  }

  expect_failures = [aws_dynamodb_table.this]
}

run "adopting_a_table_with_a_key_of_another_type" {
  command = plan

  variables {
    table = { name = "Agents", hash_key = { name = "agentId", type = "S" }, adopt = true }
  }

  override_data {
    target = data.aws_dynamodb_tables.existing[0]
    values = { names = ["Agents"] }
  }

  override_data {
    target = data.aws_dynamodb_table.existing[0]
    values = { hash_key = "agentId", range_key = "", attribute = [{ name = "agentId", type = "N" }] }
  }

  expect_failures = [aws_dynamodb_table.this]
}
