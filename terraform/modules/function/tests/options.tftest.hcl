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

run "a_name_and_a_package_are_enough" {
  command = plan

  assert {
    condition = (
      aws_lambda_function.this.function_name == "agents"
      && aws_lambda_function.this.runtime == "python3.13"
      && aws_lambda_function.this.architectures == tolist(["arm64"])
      && aws_lambda_function.this.memory_size == 512
      && aws_lambda_function.this.timeout == 10
      && aws_lambda_function.this.handler == "handler.handler"
      && aws_lambda_function.this.reserved_concurrent_executions == -1
    )
    error_message = "Python 3.13 on arm64 in the account's pool."
  }

  assert {
    condition     = aws_lambda_function.this.publish && aws_lambda_alias.live.name == "live"
    error_message = "Every deployment publishes a version, and callers use the alias live."
  }

  assert {
    condition     = aws_cloudwatch_log_group.this.name == "/aws/lambda/agents" && aws_cloudwatch_log_group.this.retention_in_days == 30
    error_message = "The log group is the function's own and forgets after 30 days."
  }

  assert {
    condition = (
      length(aws_lambda_function.this.snap_start) == 0
      && length(aws_lambda_provisioned_concurrency_config.live) == 0
      && length(aws_lambda_function.this.dead_letter_config) == 0
      && length(aws_lambda_function.this.vpc_config) == 0
      && length(aws_lambda_function.this.environment) == 0
      && length(aws_lambda_permission.this) == 0
      && aws_lambda_function.this.tracing_config[0].mode == "PassThrough"
    )
    error_message = "An option that nobody asked for is off."
  }

  assert {
    condition = jsondecode(output.policy_document).Statement == [{
      Sid      = "WriteOwnLogs"
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = ["arn:aws:logs:eu-north-1:123456789012:log-group:/aws/lambda/agents:*"]
    }]
    error_message = "The role may write its own logs and nothing else: ${output.policy_document}"
  }

  assert {
    condition     = jsondecode(aws_iam_role.this.assume_role_policy).Statement[0].Principal == { Service = "lambda.amazonaws.com" }
    error_message = "Only Lambda takes the role."
  }
}

run "role_has_the_statements_handed_in" {
  command = plan

  variables {
    statements = {
      Agents = {
        actions   = ["dynamodb:Query", "dynamodb:GetItem"]
        resources = ["arn:aws:dynamodb:eu-north-1:123456789012:table/Agents"]
        condition = { StringEquals = { "aws:ResourceTag/Team" = ["agents"] } }
      }
    }
  }

  assert {
    condition = [for statement in jsondecode(output.policy_document).Statement : statement if statement.Sid == "Agents"] == [{
      Sid       = "Agents"
      Effect    = "Allow"
      Action    = ["dynamodb:GetItem", "dynamodb:Query"]
      Resource  = ["arn:aws:dynamodb:eu-north-1:123456789012:table/Agents"]
      Condition = { StringEquals = { "aws:ResourceTag/Team" = ["agents"] } }
    }]
    error_message = "Exactly as handed in: ${output.policy_document}"
  }

  assert {
    condition     = length(jsondecode(output.policy_document).Statement) == 2
    error_message = "The statement and the logs."
  }
}

run "size_environment_and_concurrency" {
  command = plan

  variables {
    function = {
      name                    = "agents"
      description             = "Agents"
      runtime                 = "python3.12"
      architecture            = "x86_64"
      memory_megabytes        = 1024
      timeout_seconds         = 25
      reserved_concurrency    = 5
      environment             = { LOG_LEVEL = "DEBUG" }
      environment_kms_key_arn = "arn:aws:kms:eu-north-1:123456789012:key/1234"
      alias                   = "stable"
      code_signing_config_arn = "arn:aws:lambda:eu-north-1:123456789012:code-signing-config:csc-0f6c334abcdea4d8b"
      tags                    = { Team = "agents" }
    }
  }

  assert {
    condition = (
      aws_lambda_function.this.runtime == "python3.12"
      && aws_lambda_function.this.architectures == tolist(["x86_64"])
      && aws_lambda_function.this.memory_size == 1024
      && aws_lambda_function.this.timeout == 25
      && aws_lambda_function.this.reserved_concurrent_executions == 5
      && aws_lambda_function.this.environment[0].variables == tomap({ LOG_LEVEL = "DEBUG" })
      && aws_lambda_function.this.kms_key_arn == "arn:aws:kms:eu-north-1:123456789012:key/1234"
      && aws_lambda_function.this.code_signing_config_arn != null
      && aws_lambda_function.this.tags.Team == "agents"
      && aws_lambda_alias.live.name == "stable"
    )
    error_message = "Settings reach the function."
  }
}

run "stopped_by_a_concurrency_of_zero" {
  command = plan

  variables {
    function = { name = "agents", reserved_concurrency = 0 }
  }

  assert {
    condition     = aws_lambda_function.this.reserved_concurrent_executions == 0 && !contains(keys(aws_cloudwatch_metric_alarm.this), "concurrency")
    error_message = "0 stops the function; an alarm on 0 executions would always be on."
  }
}

run "snap_start" {
  command = plan

  variables {
    function = { name = "agents", snap_start = true }
  }

  assert {
    condition     = aws_lambda_function.this.snap_start[0].apply_on == "PublishedVersions"
    error_message = "Snapshots are taken of published versions."
  }
}

run "provisioned_concurrency_on_the_alias" {
  command = plan

  variables {
    function = { name = "agents", provisioned_concurrency = 2 }
  }

  assert {
    condition     = aws_lambda_provisioned_concurrency_config.live[0].qualifier == "live" && aws_lambda_provisioned_concurrency_config.live[0].provisioned_concurrent_executions == 2
    error_message = "On the alias, so that it moves along with the version."
  }

  assert {
    condition     = tomap(aws_cloudwatch_metric_alarm.this["provisioned-spillover"].dimensions) == tomap({ FunctionName = "agents", Resource = "agents:live" })
    error_message = "Spilling over is worth an alarm, by the alias that has the environments."
  }
}

run "tracing" {
  command = plan

  variables {
    function = { name = "agents", tracing = true }
  }

  assert {
    condition = aws_lambda_function.this.tracing_config[0].mode == "Active" && one([
      for statement in jsondecode(output.policy_document).Statement : statement.Condition.StringEquals["aws:RequestedRegion"]
      if contains(statement.Action, "xray:PutTraceSegments")
    ]) == ["eu-north-1"]
    error_message = "Tracing and the permission for it, in this region."
  }
}

run "json_logging" {
  command = plan

  variables {
    function = { name = "agents", json_logging = { system_level = "WARN" } }
  }

  assert {
    condition = (
      aws_lambda_function.this.logging_config[0].log_format == "JSON"
      && aws_lambda_function.this.logging_config[0].system_log_level == "WARN"
      && aws_lambda_function.this.logging_config[0].application_log_level == "INFO"
      && aws_lambda_function.this.logging_config[0].log_group == "/aws/lambda/agents"
    )
    error_message = "JSON into the function's own group, with the levels asked for."
  }
}

run "dead_letters_to_a_queue" {
  command = plan

  variables {
    function = { name = "agents", dead_letter_arn = "arn:aws:sqs:eu-north-1:123456789012:lost" }
  }

  assert {
    condition     = aws_lambda_function.this.dead_letter_config[0].target_arn == "arn:aws:sqs:eu-north-1:123456789012:lost"
    error_message = "The target is the queue."
  }

  assert {
    condition     = [for statement in jsondecode(output.policy_document).Statement : [statement.Action, statement.Resource] if statement.Sid == "SendDeadLetters"] == [[["sqs:SendMessage"], ["arn:aws:sqs:eu-north-1:123456789012:lost"]]]
    error_message = "The role may send to that queue: ${output.policy_document}"
  }

  assert {
    condition     = contains(keys(aws_cloudwatch_metric_alarm.this), "dead-letter-errors")
    error_message = "Losing even the dead letters is worth an alarm."
  }
}

run "dead_letters_to_a_topic" {
  command = plan

  variables {
    function = { name = "agents", dead_letter_arn = "arn:aws:sns:eu-north-1:123456789012:lost" }
  }

  assert {
    condition     = [for statement in jsondecode(output.policy_document).Statement : statement.Action if statement.Sid == "SendDeadLetters"] == [["sns:Publish"]]
    error_message = "A topic is published to: ${output.policy_document}"
  }
}

run "inside_a_vpc" {
  command = plan

  variables {
    function = { name = "agents", vpc = { subnet_ids = ["subnet-1"], security_group_ids = ["sg-1"] } }
  }

  assert {
    condition     = aws_lambda_function.this.vpc_config[0].subnet_ids == toset(["subnet-1"]) && aws_lambda_function.this.vpc_config[0].security_group_ids == toset(["sg-1"])
    error_message = "In the subnet, under the security group."
  }

  assert {
    condition = [for statement in jsondecode(output.policy_document).Statement : statement.Resource if statement.Sid == "CreateNetworkInterface"] == [[
      "arn:aws:ec2:eu-north-1:123456789012:network-interface/*",
      "arn:aws:ec2:eu-north-1:123456789012:security-group/sg-1",
      "arn:aws:ec2:eu-north-1:123456789012:subnet/subnet-1",
    ]]
    error_message = "Network interfaces in these subnets only: ${output.policy_document}"
  }
}

run "role_of_a_strict_account" {
  command = plan

  variables {
    function = {
      name                     = "agents"
      role_path                = "/agents/"
      permissions_boundary_arn = "arn:aws:iam::123456789012:policy/boundary"
      log_kms_key_arn          = "arn:aws:kms:eu-north-1:123456789012:key/1234"
      log_retention_days       = 365
    }
  }

  assert {
    condition     = aws_iam_role.this.path == "/agents/" && aws_iam_role.this.permissions_boundary == "arn:aws:iam::123456789012:policy/boundary"
    error_message = "Path and boundary reach the role."
  }

  assert {
    condition     = aws_cloudwatch_log_group.this.kms_key_id == "arn:aws:kms:eu-north-1:123456789012:key/1234" && aws_cloudwatch_log_group.this.retention_in_days == 365
    error_message = "Key and retention reach the log group."
  }
}

run "callers_rolled_back_to_an_older_version" {
  command = plan

  variables {
    function = { name = "agents", pinned_version = "3" }
  }

  assert {
    condition     = aws_lambda_alias.live.function_version == "3" && aws_lambda_function.this.publish
    error_message = "The alias stays at that version, while the function goes on."
  }
}

run "permissions_on_the_alias" {
  command = plan

  variables {
    permissions = {
      nightly = { principal = "events.amazonaws.com", source_arn = "arn:aws:events:eu-north-1:123456789012:rule/nightly" }
      partner = { principal = "210987654321" }
    }
  }

  assert {
    condition     = aws_lambda_permission.this["nightly"].qualifier == "live" && aws_lambda_permission.this["nightly"].source_arn == "arn:aws:events:eu-north-1:123456789012:rule/nightly" && aws_lambda_permission.this["partner"].principal == "210987654321"
    error_message = "Permissions are given on the alias, for one source."
  }
}

run "alarms_by_default" {
  command = plan

  variables {
    alarms = { actions = ["arn:aws:sns:eu-north-1:123456789012:alarms"] }
  }

  assert {
    condition = { for key, alarm in aws_cloudwatch_metric_alarm.this : key => [alarm.metric_name, alarm.threshold] } == {
      errors      = ["Errors", 1]
      throttles   = ["Throttles", 1]
      duration    = ["Duration", 8000]
      concurrency = ["ConcurrentExecutions", 800]
    }
    error_message = "Errors, throttles, and 80 % of the timeout of 10 s in milliseconds: ${jsonencode({ for key, alarm in aws_cloudwatch_metric_alarm.this : key => alarm.threshold })}"
  }

  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.this : tomap(alarm.dimensions) == tomap({ FunctionName = "agents" }) && alarm.treat_missing_data == "notBreaching" && alarm.alarm_actions == toset(["arn:aws:sns:eu-north-1:123456789012:alarms"])])
    error_message = "Alarms watch the function and tell the topic."
  }
}

run "concurrency_alarm_as_share_of_what_is_reserved" {
  command = plan

  variables {
    function = { name = "agents", reserved_concurrency = 10 }
    alarms   = { concurrency_percent = 50, duration_percent = 0, errors = 3 }
  }

  assert {
    condition     = { for key, alarm in aws_cloudwatch_metric_alarm.this : key => alarm.threshold } == { errors = 3, throttles = 1, concurrency = 5 }
    error_message = "Half of 10 is 5; 0 leaves an alarm out."
  }
}

run "concurrency_alarm_by_number" {
  command = plan

  variables {
    alarms = { concurrent_executions = 200 }
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["concurrency"].threshold == 200 && aws_cloudwatch_metric_alarm.this["concurrency"].statistic == "Maximum"
    error_message = "Where nothing is reserved a number counts."
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
