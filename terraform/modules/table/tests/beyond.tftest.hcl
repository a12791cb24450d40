# What the embedded AWS can't keep: limits of on-demand throughput, replicas, contributor insights; and who else may come in.

mock_provider "aws" {
  source = "./tests/mocks"
}

run "on_demand_limits_with_their_alarms" {
  command = plan

  variables {
    table = {
      name                 = "Agents"
      hash_key             = { name = "agentId", type = "S" }
      on_demand_throughput = { max_read_request_units = 100, max_write_request_units = -1 }
      indexes = {
        ByJob  = { hash_key = { name = "job", type = "S" }, on_demand_throughput = { max_write_request_units = 50 } }
        ByCity = { hash_key = { name = "city", type = "S" } }
      }
    }
  }

  assert {
    condition     = aws_dynamodb_table.this.on_demand_throughput[0].max_read_request_units == 100 && aws_dynamodb_table.this.on_demand_throughput[0].max_write_request_units == -1
    error_message = "One maximum, and one taken off."
  }

  assert {
    condition     = { for index in aws_dynamodb_table.this.global_secondary_index : index.name => length(index.on_demand_throughput) } == { ByJob = 1, ByCity = 0 }
    error_message = "An index has a maximum of its own, or none."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["read-capacity"].threshold == 100 * 300 * 0.8 && aws_cloudwatch_metric_alarm.this["ByJob-write-capacity"].threshold == 50 * 300 * 0.8
    error_message = "Near each maximum."
  }

  assert {
    condition     = length([for key in keys(aws_cloudwatch_metric_alarm.this) : key if endswith(key, "-capacity")]) == 2
    error_message = "None where there is no maximum: ${join(", ", keys(aws_cloudwatch_metric_alarm.this))}"
  }
}

run "replicas" {
  command = plan

  variables {
    table = {
      name       = "Agents"
      hash_key   = { name = "agentId", type = "S" }
      encryption = { type = "CUSTOMER_MANAGED", kms_key_arn = "arn:aws:kms:eu-north-1:123456789012:key/1234" }
      replicas = {
        eu-west-1    = { kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/5678" }
        eu-central-1 = { kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/9abc", point_in_time_recovery = false, propagate_tags = false }
      }
    }
  }

  assert {
    condition = { for replica in aws_dynamodb_table.this.replica : replica.region_name => [replica.point_in_time_recovery, replica.propagate_tags] } == {
      eu-west-1    = [true, true]
      eu-central-1 = [false, false]
    }
    error_message = "Recovery and tags unless said otherwise."
  }

  assert {
    condition     = aws_dynamodb_table.this.stream_enabled && aws_dynamodb_table.this.stream_view_type == "NEW_AND_OLD_IMAGES" && output.declared.stream_view_type == "NEW_AND_OLD_IMAGES"
    error_message = "The stream that keeps replicas alike."
  }

  assert {
    condition     = output.declared.replicas == tolist(["eu-central-1", "eu-west-1"])
    error_message = "Declared: ${jsonencode(output.declared.replicas)}"
  }
}

run "insights_of_table_and_indexes" {
  command = plan

  variables {
    table = {
      name                 = "Agents"
      hash_key             = { name = "agentId", type = "S" }
      contributor_insights = true
      indexes = {
        ByJob  = { hash_key = { name = "job", type = "S" } }
        ByCity = { hash_key = { name = "city", type = "S" }, contributor_insights = false }
      }
    }
  }

  assert {
    condition     = { for place, insights in aws_dynamodb_contributor_insights.this : place => insights.index_name == null ? "" : insights.index_name } == { "table" = "", "index ByJob" = "ByJob" }
    error_message = "Of the table, and of the index that does not say otherwise."
  }
}

run "a_resource_policy" {
  command = apply

  variables {
    table = {
      name     = "Agents"
      hash_key = { name = "agentId", type = "S" }
      resource_policy = jsonencode({
        Version = "2012-10-17"
        Statement = [
          { Sid = "Partner", Effect = "Allow", Principal = { AWS = "arn:aws:iam::210987654321:root" }, Action = "dynamodb:GetItem", Resource = "arn:aws:dynamodb:eu-north-1:123456789012:table/Agents" },
          { Sid = "Organization", Effect = "Allow", Principal = "*", Action = "dynamodb:Query", Resource = "arn:aws:dynamodb:eu-north-1:123456789012:table/Agents", Condition = { StringEquals = { "aws:PrincipalOrgID" = "o-1234567890" } } },
        ]
      })
    }
  }

  assert {
    condition     = aws_dynamodb_resource_policy.this[0].resource_arn == aws_dynamodb_table.this.arn && strcontains(aws_dynamodb_resource_policy.this[0].policy, "Partner")
    error_message = "The policy of this table."
  }
}

run "tags_of_the_table_alone" {
  command = plan

  variables {
    table = { name = "Agents", hash_key = { name = "agentId", type = "S" }, tags = { Team = "agents" }, table_tags = {} }
  }

  assert {
    condition     = length(coalesce(aws_dynamodb_table.this.tags, {})) == 0 && aws_cloudwatch_metric_alarm.this["read-throttles"].tags == tomap({ Team = "agents" })
    error_message = "The table keeps its own, what is made beside it has the others."
  }
}

run "indexes_take_what_they_leave_open_from_the_table" {
  command = plan

  variables {
    table = {
      name           = "Agents"
      hash_key       = { name = "agentId", type = "S" }
      billing_mode   = "PROVISIONED"
      read_capacity  = 10
      write_capacity = 20
      autoscaling    = { write = { max = 40 } }
      indexes = {
        ByJob   = { hash_key = { name = "job", type = "S" } }
        ByCity  = { hash_key = { name = "city", type = "S" }, read_capacity = 3 }
        ByPrice = { hash_key = { name = "price", type = "N" }, autoscaling = {} }
      }
    }
  }

  assert {
    condition     = { for index in aws_dynamodb_table.this.global_secondary_index : index.name => "${index.read_capacity}/${index.write_capacity}" } == { ByJob = "10/20", ByCity = "3/20", ByPrice = "10/20" }
    error_message = "Numbers that an index does not state are the table's."
  }

  assert {
    condition     = keys(aws_appautoscaling_target.this) == ["index ByJob write", "table write"]
    error_message = "Scaled as the table is, where nothing is said: ${join(", ", keys(aws_appautoscaling_target.this))}"
  }
}

run "a_limit_of_provisioned_capacity" {
  command = plan

  variables {
    table = { name = "Agents", hash_key = { name = "agentId", type = "S" }, billing_mode = "PROVISIONED", read_capacity = 5, write_capacity = 5, on_demand_throughput = { max_read_request_units = 5 } }
  }

  expect_failures = [aws_dynamodb_table.this]
}

run "a_limit_of_nothing" {
  command = plan

  variables {
    table = { name = "Agents", hash_key = { name = "agentId", type = "S" }, on_demand_throughput = { max_read_request_units = 0 } }
  }

  expect_failures = [var.table]
}

run "a_replica_where_the_table_is" {
  command = plan

  variables {
    table = { name = "Agents", hash_key = { name = "agentId", type = "S" }, replicas = { eu-north-1 = {} } }
  }

  expect_failures = [aws_dynamodb_table.this]
}

run "a_replica_with_fixed_capacity" {
  command = plan

  variables {
    table = { name = "Agents", hash_key = { name = "agentId", type = "S" }, billing_mode = "PROVISIONED", read_capacity = 5, write_capacity = 5, replicas = { eu-west-1 = {} } }
  }

  expect_failures = [aws_dynamodb_table.this]
}

run "a_replica_under_no_key" {
  command = plan

  variables {
    table = {
      name       = "Agents"
      hash_key   = { name = "agentId", type = "S" }
      encryption = { type = "CUSTOMER_MANAGED", kms_key_arn = "arn:aws:kms:eu-north-1:123456789012:key/1234" }
      replicas   = { eu-west-1 = {} }
    }
  }

  expect_failures = [var.table]
}

run "a_replica_with_half_a_stream" {
  command = plan

  variables {
    table = { name = "Agents", hash_key = { name = "agentId", type = "S" }, stream_view_type = "KEYS_ONLY", replicas = { eu-west-1 = {} } }
  }

  expect_failures = [var.table]
}

run "a_policy_for_everybody" {
  command = plan

  variables {
    table = {
      name            = "Agents"
      hash_key        = { name = "agentId", type = "S" }
      resource_policy = jsonencode({ Version = "2012-10-17", Statement = { Effect = "Allow", Principal = { AWS = ["*"] }, Action = "dynamodb:GetItem", Resource = "*" } })
    }
  }

  expect_failures = [var.table]
}

run "a_policy_that_is_no_json" {
  command = plan

  variables {
    table = { name = "Agents", hash_key = { name = "agentId", type = "S" }, resource_policy = "let them in" }
  }

  expect_failures = [var.table]
}
