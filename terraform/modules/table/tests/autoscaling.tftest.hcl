# The first plan makes the table with the capacity stated; later ones take over what the scaler made of it.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  table = {
    name           = "Agents"
    hash_key       = { name = "agentId", type = "S" }
    billing_mode   = "PROVISIONED"
    read_capacity  = 10
    write_capacity = 10
    autoscaling    = { read = { min = 5, max = 40 }, write = { max = 20, target_percent = 50 } }
    indexes = {
      ByJob  = { hash_key = { name = "job", type = "S" }, read_capacity = 5, write_capacity = 5, autoscaling = { read = { max = 30 } } }
      ByCity = { hash_key = { name = "city", type = "S" }, read_capacity = 3, write_capacity = 3 }
    }
  }
}

run "a_new_table_begins_with_the_capacity_stated" {
  command = plan

  assert {
    condition     = aws_dynamodb_table.this.read_capacity == 10 && aws_dynamodb_table.this.write_capacity == 10
    error_message = "There is no table yet, so nobody has moved its capacity."
  }

  assert {
    condition = { for key, target in aws_appautoscaling_target.this : key => [target.resource_id, target.scalable_dimension, target.min_capacity, target.max_capacity] } == {
      "table read"       = ["table/Agents", "dynamodb:table:ReadCapacityUnits", 5, 40]
      "table write"      = ["table/Agents", "dynamodb:table:WriteCapacityUnits", 10, 20]
      "index ByJob read" = ["table/Agents/index/ByJob", "dynamodb:index:ReadCapacityUnits", 5, 30]
    }
    error_message = "Each number that is to be scaled, and no other: ${jsonencode({ for key, target in aws_appautoscaling_target.this : key => target.resource_id })}"
  }

  assert {
    condition = { for key, policy in aws_appautoscaling_policy.this : key => [
      policy.target_tracking_scaling_policy_configuration[0].target_value,
      policy.target_tracking_scaling_policy_configuration[0].predefined_metric_specification[0].predefined_metric_type,
      ] } == {
      "table read"       = [70, "DynamoDBReadCapacityUtilization"]
      "table write"      = [50, "DynamoDBWriteCapacityUtilization"]
      "index ByJob read" = [70, "DynamoDBReadCapacityUtilization"]
    }
    error_message = "Each follows its own target."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["read-capacity"].threshold == 40 * 300 * 0.8 && aws_cloudwatch_metric_alarm.this["ByCity-read-capacity"].threshold == 3 * 300 * 0.8
    error_message = "What is scaled is in danger near its maximum."
  }

  assert {
    condition     = output.declared.read_capacity == null && output.declared.indexes.ByJob.read_capacity == null && output.declared.indexes.ByJob.write_capacity == 5
    error_message = "Verification can't compare what the scaler moves."
  }
}

run "what_the_scaler_moved_stays" {
  command = plan

  override_data {
    target = data.aws_dynamodb_tables.existing[0]
    values = { names = ["Agents", "Others"] }
  }

  override_data {
    target = data.aws_dynamodb_table.existing[0]
    values = {
      read_capacity  = 25
      write_capacity = 12
      global_secondary_index = [
        { name = "ByJob", hash_key = "job", range_key = "", projection_type = "ALL", non_key_attributes = [], on_demand_throughput = [], read_capacity = 17, write_capacity = 9 },
        { name = "ByCity", hash_key = "city", range_key = "", projection_type = "ALL", non_key_attributes = [], on_demand_throughput = [], read_capacity = 8, write_capacity = 8 },
      ]
    }
  }

  assert {
    condition     = aws_dynamodb_table.this.read_capacity == 25 && aws_dynamodb_table.this.write_capacity == 12
    error_message = "The table keeps what it has."
  }

  assert {
    condition     = { for index in aws_dynamodb_table.this.global_secondary_index : index.name => "${index.read_capacity}/${index.write_capacity}" } == { ByJob = "17/5", ByCity = "3/3" }
    error_message = "Indexes keep what is scaled; what is not, and was moved by hand, is put back."
  }
}

run "outside_its_bounds_it_is_moved_to_them" {
  command = plan

  override_data {
    target = data.aws_dynamodb_tables.existing[0]
    values = { names = ["Agents"] }
  }

  override_data {
    target = data.aws_dynamodb_table.existing[0]
    values = { read_capacity = 100, write_capacity = 1, global_secondary_index = [] }
  }

  assert {
    condition     = aws_dynamodb_table.this.read_capacity == 40 && aws_dynamodb_table.this.write_capacity == 10
    error_message = "At most max, at least min."
  }

  assert {
    condition     = [for index in aws_dynamodb_table.this.global_secondary_index : index.read_capacity if index.name == "ByJob"] == [5]
    error_message = "An index that is yet to be made begins with the capacity stated."
  }
}

run "an_on_demand_table_that_becomes_provisioned_begins_with_the_capacity_stated" {
  command = plan

  override_data {
    target = data.aws_dynamodb_tables.existing[0]
    values = { names = ["Agents"] }
  }

  override_data {
    target = data.aws_dynamodb_table.existing[0]
    values = { read_capacity = 0, write_capacity = 0, global_secondary_index = [] }
  }

  assert {
    condition     = aws_dynamodb_table.this.read_capacity == 10 && aws_dynamodb_table.this.write_capacity == 10
    error_message = "On-demand tables have a capacity of 0, which is none."
  }
}
