mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  table = {
    name     = "Agents"
    hash_key = { name = "agentId", type = "S" }
  }
}

run "a_name_and_a_key_give_a_safe_table" {
  command = plan

  assert {
    condition = (
      aws_dynamodb_table.this.billing_mode == "PAY_PER_REQUEST"
      && aws_dynamodb_table.this.deletion_protection_enabled
      && aws_dynamodb_table.this.point_in_time_recovery[0].enabled
      && aws_dynamodb_table.this.point_in_time_recovery[0].recovery_period_in_days == 35
      && aws_dynamodb_table.this.table_class == "STANDARD"
    )
    error_message = "The defaults must protect the data."
  }

  assert {
    condition     = !aws_dynamodb_table.this.server_side_encryption[0].enabled && !aws_dynamodb_table.this.stream_enabled && length(aws_dynamodb_table.this.ttl) == 0
    error_message = "The AWS-owned key, no stream and no expiry unless asked for."
  }

  assert {
    condition     = aws_dynamodb_table.this.attribute == toset([{ name = "agentId", type = "S" }])
    error_message = "Attributes are those of the keys."
  }

  assert {
    condition = (
      jsonencode(output.declared) == jsonencode({
        billing_mode                = "PAY_PER_REQUEST"
        deletion_protection         = true
        encryption                  = "AWS_OWNED"
        hash_key                    = "agentId"
        indexes                     = {}
        kms_key_arn                 = null
        name                        = "Agents"
        point_in_time_recovery_days = 35
        range_key                   = null
        read_capacity               = null
        stream_view_type            = null
        table_class                 = "STANDARD"
        replicas                    = []
        ttl_attribute               = null
        write_capacity              = null
      })
    )
    error_message = "Verification reads this shape: ${jsonencode(output.declared)}"
  }
}

run "keys_and_indexes" {
  command = plan

  variables {
    table = {
      name      = "Messages"
      hash_key  = { name = "id", type = "S" }
      range_key = { name = "at", type = "N" }
      indexes = {
        ByAuthor = {
          hash_key        = { name = "author", type = "S" }
          range_key       = { name = "at", type = "N" }
          projection_type = "KEYS_ONLY"
        }
        ByTopic = {
          hash_key           = { name = "topic", type = "S" }
          projection_type    = "INCLUDE"
          non_key_attributes = ["title"]
        }
      }
    }
  }

  assert {
    condition = aws_dynamodb_table.this.attribute == toset([
      { name = "id", type = "S" }, { name = "at", type = "N" }, { name = "author", type = "S" }, { name = "topic", type = "S" },
    ])
    error_message = "Each key attribute once, whoever uses it."
  }

  assert {
    condition     = aws_dynamodb_table.this.range_key == "at"
    error_message = "The range key belongs to the table."
  }

  assert {
    condition = (
      [for index in aws_dynamodb_table.this.global_secondary_index : index.range_key if index.name == "ByAuthor"] == ["at"]
      && [for index in aws_dynamodb_table.this.global_secondary_index : index.projection_type if index.name == "ByAuthor"] == ["KEYS_ONLY"]
      && [for index in aws_dynamodb_table.this.global_secondary_index : tolist(index.non_key_attributes) if index.name == "ByTopic"] == [tolist(["title"])]
    )
    error_message = "Indexes are made as described."
  }

  assert {
    condition     = output.index_arns == { ByAuthor = "arn:aws:dynamodb:eu-north-1:123456789012:table/Messages/index/ByAuthor", ByTopic = "arn:aws:dynamodb:eu-north-1:123456789012:table/Messages/index/ByTopic" }
    error_message = "Index ARNs are known in the plan."
  }

  assert {
    condition = jsonencode(output.declared.indexes) == jsonencode({
      ByAuthor = { hash_key = "author", non_key_attributes = [], projection_type = "KEYS_ONLY", range_key = "at", read_capacity = null, write_capacity = null }
      ByTopic  = { hash_key = "topic", non_key_attributes = ["title"], projection_type = "INCLUDE", range_key = null, read_capacity = null, write_capacity = null }
    })
    error_message = "Verification reads this shape: ${jsonencode(output.declared.indexes)}"
  }
}

run "provisioned_capacity_of_table_and_index" {
  command = plan

  variables {
    table = {
      name           = "Agents"
      hash_key       = { name = "agentId", type = "S" }
      billing_mode   = "PROVISIONED"
      read_capacity  = 10
      write_capacity = 9
      indexes        = { ByJob = { hash_key = { name = "job", type = "S" }, read_capacity = 5, write_capacity = 4 } }
    }
  }

  assert {
    condition = (
      aws_dynamodb_table.this.read_capacity == 10 && aws_dynamodb_table.this.write_capacity == 9
      && [for index in aws_dynamodb_table.this.global_secondary_index : "${index.read_capacity}/${index.write_capacity}"] == ["5/4"]
    )
    error_message = "Table and index have their own capacity."
  }

  assert {
    condition = (
      output.declared.read_capacity == 10 && output.declared.write_capacity == 9
      && output.declared.indexes.ByJob.read_capacity == 5 && output.declared.indexes.ByJob.write_capacity == 4
    )
    error_message = "Verification compares capacity that nobody else moves."
  }

  assert {
    condition = { for key, alarm in aws_cloudwatch_metric_alarm.this : key => [alarm.metric_name, alarm.threshold, tomap(alarm.dimensions)] if endswith(key, "-capacity") } == {
      read-capacity        = ["ConsumedReadCapacityUnits", 10 * 300 * 0.8, tomap({ TableName = "Agents" })]
      write-capacity       = ["ConsumedWriteCapacityUnits", 9 * 300 * 0.8, tomap({ TableName = "Agents" })]
      ByJob-read-capacity  = ["ConsumedReadCapacityUnits", 5 * 300 * 0.8, tomap({ TableName = "Agents", GlobalSecondaryIndexName = "ByJob" })]
      ByJob-write-capacity = ["ConsumedWriteCapacityUnits", 4 * 300 * 0.8, tomap({ TableName = "Agents", GlobalSecondaryIndexName = "ByJob" })]
    }
    error_message = "Capacity that is nearly used up raises an alarm: ${jsonencode({ for key, alarm in aws_cloudwatch_metric_alarm.this : key => alarm.threshold })}"
  }

  assert {
    condition     = length(aws_appautoscaling_target.this) == 0 && length(data.aws_dynamodb_tables.existing) == 0
    error_message = "Nothing is scaled, and nothing asked, unless a caller wants it."
  }
}

run "recovery_window" {
  command = plan

  variables {
    table = { name = "Agents", hash_key = { name = "agentId", type = "S" }, point_in_time_recovery_days = 7 }
  }

  assert {
    condition     = aws_dynamodb_table.this.point_in_time_recovery[0].recovery_period_in_days == 7 && output.declared.point_in_time_recovery_days == 7
    error_message = "The window is the caller's."
  }
}

run "recovery_off" {
  command = plan

  variables {
    table = { name = "Agents", hash_key = { name = "agentId", type = "S" }, point_in_time_recovery_days = 0 }
  }

  assert {
    condition     = !aws_dynamodb_table.this.point_in_time_recovery[0].enabled && output.declared.point_in_time_recovery_days == 0
    error_message = "0 switches recovery off."
  }
}

run "everything_else_on" {
  command = plan

  variables {
    table = {
      name                = "Agents"
      hash_key            = { name = "agentId", type = "S" }
      ttl                 = { attribute = "ttl" }
      encryption          = { type = "AWS_MANAGED" }
      stream_view_type    = "NEW_AND_OLD_IMAGES"
      deletion_protection = false
      table_class         = "STANDARD_INFREQUENT_ACCESS"
      tags                = { Team = "agents" }
    }
  }

  assert {
    condition     = aws_dynamodb_table.this.ttl[0].enabled && aws_dynamodb_table.this.ttl[0].attribute_name == "ttl" && output.declared.ttl_attribute == "ttl"
    error_message = "Expiry by the attribute."
  }

  assert {
    condition     = aws_dynamodb_table.this.server_side_encryption[0].enabled
    error_message = "AWS_MANAGED is a KMS key."
  }

  assert {
    condition     = aws_dynamodb_table.this.stream_enabled && aws_dynamodb_table.this.stream_view_type == "NEW_AND_OLD_IMAGES"
    error_message = "A stream with both images."
  }

  assert {
    condition     = !aws_dynamodb_table.this.deletion_protection_enabled && aws_dynamodb_table.this.table_class == "STANDARD_INFREQUENT_ACCESS" && aws_dynamodb_table.this.tags.Team == "agents"
    error_message = "Protection off, class and tags as asked."
  }
}

run "expiry_switched_off_keeps_the_attribute_name" {
  command = plan

  variables {
    table = { name = "Agents", hash_key = { name = "agentId", type = "S" }, ttl = { attribute = "ttl", enabled = false } }
  }

  assert {
    condition     = !aws_dynamodb_table.this.ttl[0].enabled && aws_dynamodb_table.this.ttl[0].attribute_name == "ttl" && output.declared.ttl_attribute == null
    error_message = "DynamoDB wants the name to switch expiry off."
  }
}

run "policies_name_actions_table_and_indexes" {
  command = plan

  variables {
    table = {
      name     = "chat_sessions"
      hash_key = { name = "PK", type = "S" }
      indexes  = { ByUser = { hash_key = { name = "user", type = "S" } } }
    }
  }

  assert {
    condition = jsondecode(output.policy_documents.read).Statement == [
      { Sid = "ChatSessionsIndexes", Effect = "Allow", Action = ["dynamodb:Query"], Resource = ["arn:aws:dynamodb:eu-north-1:123456789012:table/chat_sessions/index/ByUser"] },
      { Sid = "ChatSessionsTable", Effect = "Allow", Action = ["dynamodb:BatchGetItem", "dynamodb:DescribeTable", "dynamodb:GetItem", "dynamodb:Query"], Resource = ["arn:aws:dynamodb:eu-north-1:123456789012:table/chat_sessions"] },
    ]
    error_message = "read: ${output.policy_documents.read}"
  }

  assert {
    condition     = toset(flatten(jsondecode(output.policy_documents.write).Statement[*].Action)) == toset(["dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", "dynamodb:ConditionCheckItem", "dynamodb:DeleteItem", "dynamodb:DescribeTable", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem"])
    error_message = "write: ${output.policy_documents.write}"
  }

  assert {
    condition = alltrue([
      for document in values(output.policy_documents) :
      !strcontains(document, "*") && !strcontains(document, "DeleteTable") && !strcontains(document, "kms:")
    ])
    error_message = "No wildcard, no DeleteTable, and no key without a customer's key."
  }

  assert {
    condition     = contains(flatten(jsondecode(output.policy_documents.admin).Statement[*].Action), "dynamodb:UpdateContinuousBackups") && contains(flatten(jsondecode(output.policy_documents.admin).Statement[*].Action), "dynamodb:PutItem")
    error_message = "admin includes write."
  }
}

run "a_customers_key_comes_with_its_permissions" {
  command = plan

  variables {
    table = {
      name       = "Agents"
      hash_key   = { name = "agentId", type = "S" }
      encryption = { type = "CUSTOMER_MANAGED", kms_key_arn = "arn:aws:kms:eu-north-1:123456789012:key/1234" }
    }
  }

  assert {
    condition     = aws_dynamodb_table.this.server_side_encryption[0].enabled && aws_dynamodb_table.this.server_side_encryption[0].kms_key_arn == "arn:aws:kms:eu-north-1:123456789012:key/1234"
    error_message = "The table uses the key."
  }

  assert {
    condition = [for statement in jsondecode(output.policy_documents.read).Statement : statement if statement.Sid == "AgentsKey"] == [{
      Sid       = "AgentsKey"
      Effect    = "Allow"
      Action    = ["kms:Decrypt", "kms:DescribeKey"]
      Resource  = ["arn:aws:kms:eu-north-1:123456789012:key/1234"]
      Condition = { StringEquals = { "kms:ViaService" = ["dynamodb.eu-north-1.amazonaws.com"] } }
    }]
    error_message = "Reading needs the key, through DynamoDB only: ${output.policy_documents.read}"
  }

  assert {
    condition     = contains(output.key_statements.write.AgentsKey.actions, "kms:GenerateDataKey") && !contains(output.key_statements.read.AgentsKey.actions, "kms:GenerateDataKey")
    error_message = "Writing needs more of the key than reading."
  }
}

run "alarms_by_default" {
  command = plan

  variables {
    table  = { name = "Agents", hash_key = { name = "agentId", type = "S" }, indexes = { ByJob = { hash_key = { name = "job", type = "S" } } } }
    alarms = { actions = ["arn:aws:sns:eu-north-1:123456789012:alarms"], ok_actions = ["arn:aws:sns:eu-north-1:123456789012:calm"], system_error_operations = ["Query"] }
  }

  assert {
    condition = { for key, alarm in aws_cloudwatch_metric_alarm.this : key => [alarm.metric_name, tomap(alarm.dimensions)] } == {
      read-throttles        = ["ReadThrottleEvents", tomap({ TableName = "Agents" })]
      write-throttles       = ["WriteThrottleEvents", tomap({ TableName = "Agents" })]
      ByJob-read-throttles  = ["ReadThrottleEvents", tomap({ TableName = "Agents", GlobalSecondaryIndexName = "ByJob" })]
      ByJob-write-throttles = ["WriteThrottleEvents", tomap({ TableName = "Agents", GlobalSecondaryIndexName = "ByJob" })]
      system-errors-Query   = ["SystemErrors", tomap({ TableName = "Agents", Operation = "Query" })]
    }
    error_message = "Table, index and operation: ${jsonencode({ for key, alarm in aws_cloudwatch_metric_alarm.this : key => alarm.dimensions })}"
  }

  assert {
    condition = alltrue([
      for alarm in aws_cloudwatch_metric_alarm.this :
      alarm.treat_missing_data == "notBreaching" && alarm.period == 300 && alarm.threshold == 1
      && alarm.alarm_actions == toset(["arn:aws:sns:eu-north-1:123456789012:alarms"])
      && alarm.ok_actions == toset(["arn:aws:sns:eu-north-1:123456789012:calm"])
    ])
    error_message = "All alarms tell the topics, and quiet is not an alarm."
  }
}

run "alarms_one_by_one" {
  command = plan

  variables {
    alarms = { read_throttle_events = 0, write_throttle_events = 5, system_errors = 0, conditional_check_failures = 100, period_seconds = 60 }
  }

  assert {
    condition     = { for key, alarm in aws_cloudwatch_metric_alarm.this : key => alarm.threshold } == { write-throttles = 5, conditional-check-failures = 100 }
    error_message = "0 leaves an alarm out, a number is its threshold."
  }
}

run "alarms_off" {
  command = plan

  variables {
    alarms = { enabled = false }
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.this) == 0
    error_message = "No alarms when they are switched off."
  }
}
