mock_provider "aws" {
  source = "./tests/mocks"
}

mock_provider "aws" {
  alias  = "tables"
  source = "./tests/mocks"
}

variables {
  environment     = "dev"
  aws_region      = "eu-north-1"
  lambda_manifest = "tests/fixtures/manifest.json"
  # The others have a file of their own; each costs time in every run.
  systems = ["agent_registry"]
}

run "the_defaults_suit_production" {
  command = plan

  assert {
    condition = (
      output.verification.systems.agent_registry.tables.agents.point_in_time_recovery_days == 35
      && output.verification.systems.agent_registry.tables.agents.deletion_protection
      && output.verification.systems.agent_registry.tables.idempotency.deletion_protection
      && output.api.auth == "iam"
      && output.systems.agent_registry.persistence == "dynamodb"
    )
    error_message = "35 days of recovery, deletion protection, signed requests, DynamoDB."
  }

  assert {
    condition     = output.systems.agent_registry.function_name == "agent-state-dev-agent-registry" && output.verification.systems.agent_registry.tables.agents.name == "AgentRegistry" && output.verification.systems.agent_registry.tables.idempotency.name == "agent-state-dev-idempotency"
    error_message = "Names come from prefix and environment; the registry's table keeps its contract name."
  }

  assert {
    condition     = output.verification.budgets == { cold_start_milliseconds = 500, query_milliseconds = 50 }
    error_message = "Budgets reach verification."
  }

  assert {
    condition     = length(aws_iam_policy.outside_access) == 0 && length(aws_sns_topic.alarms) == 1 && length(aws_sns_topic_subscription.alarms) == 0 && length(aws_cloudwatch_dashboard.this) == 1
    error_message = "A topic and a dashboard; no access for others and no subscribers unless asked for."
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.user_errors[0].dimensions == null ? {} : aws_cloudwatch_metric_alarm.user_errors[0].dimensions) == 0
    error_message = "UserErrors has no dimensions: with some the alarm could never go off."
  }
}

run "outputs_have_the_shape_that_the_commands_read" {
  command = apply

  assert {
    condition     = jsonencode(output.api) == jsonencode({ auth = "iam", id = "abc123", jwt = null, url = "https://abc123.execute-api.eu-north-1.amazonaws.com" })
    error_message = "api: ${jsonencode(output.api)}"
  }

  assert {
    condition     = toset(keys(output.systems.agent_registry)) == toset(["alias_arn", "alias_name", "function_arn", "function_name", "function_version", "log_group_name", "persistence", "policy_documents", "role_arn", "role_name", "routes", "tables"])
    error_message = "systems: ${join(", ", keys(output.systems.agent_registry))}"
  }

  assert {
    condition = output.systems.agent_registry.tables == {
      agents      = { name = "AgentRegistry", arn = "arn:aws:dynamodb:eu-north-1:123456789012:table/AgentRegistry" }
      idempotency = { name = "agent-state-dev-idempotency", arn = "arn:aws:dynamodb:eu-north-1:123456789012:table/agent-state-dev-idempotency" }
    }
    error_message = "tables: ${jsonencode(output.systems.agent_registry.tables)}"
  }

  assert {
    condition     = toset(keys(output.systems.agent_registry.policy_documents)) == toset(["read", "write", "admin"]) && alltrue([for document in values(output.systems.agent_registry.policy_documents) : strcontains(document, "table/AgentRegistry/index/CapabilityIndex") && !strcontains(document, "idempotency")])
    error_message = "Documents cover the system's table and index, not the markers."
  }

  assert {
    condition     = toset(output.systems.agent_registry.routes) == toset(["POST /agents/register", "GET /agents", "GET /agents/{id}", "DELETE /agents/{id}"])
    error_message = "routes: ${jsonencode(output.systems.agent_registry.routes)}"
  }

  assert {
    condition     = toset(keys(output.verification)) == toset(["api", "budgets", "region", "systems", "token_claims", "user_pool"]) && toset(keys(output.verification.systems.agent_registry)) == toset(["alias_name", "code_sha256", "function_name", "function_version", "log_group_name", "persistence", "tables"])
    error_message = "verification: ${join(", ", keys(output.verification.systems.agent_registry))}"
  }

  assert {
    condition     = output.verification.systems.agent_registry.code_sha256 == jsondecode(file("tests/fixtures/manifest.json")).functions.agent_registry.source_code_hash
    error_message = "The code that verification expects is the manifest's."
  }

  assert {
    condition     = jsonencode(output.verification.systems.agent_registry.tables.agents.indexes) == jsonencode({ CapabilityIndex = { hash_key = "capability", non_key_attributes = [], projection_type = "KEYS_ONLY", range_key = "capabilityOf", read_capacity = null, write_capacity = null } }) && output.verification.systems.agent_registry.tables.agents.ttl_attribute == "ttl"
    error_message = "agents: ${jsonencode(output.verification.systems.agent_registry.tables.agents)}"
  }

  assert {
    condition     = output.reply == null
    error_message = "Nobody replies where there are no agent sessions: ${jsonencode(output.reply)}"
  }

  assert {
    condition     = output.alarm_topic_arn == "arn:aws:sns:eu-north-1:123456789012:mock"
    error_message = "The topic: ${coalesce(output.alarm_topic_arn, "none")}"
  }

  assert {
    condition     = jsondecode(aws_sns_topic_policy.alarms[0].policy).Statement[0].Principal == { Service = "cloudwatch.amazonaws.com" } && strcontains(aws_sns_topic_policy.alarms[0].policy, "123456789012")
    error_message = "CloudWatch may publish, for this account's alarms only."
  }

  assert {
    condition = { for statement in jsondecode(module.agent_registry_function[0].policy_document).Statement : statement.Sid => [statement.Action, statement.Resource] } == {
      Agents             = [["dynamodb:BatchGetItem", "dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem"], ["arn:aws:dynamodb:eu-north-1:123456789012:table/AgentRegistry"]]
      AgentsByCapability = [["dynamodb:Query"], ["arn:aws:dynamodb:eu-north-1:123456789012:table/AgentRegistry/index/CapabilityIndex"]]
      Idempotency        = [["dynamodb:GetItem", "dynamodb:PutItem"], ["arn:aws:dynamodb:eu-north-1:123456789012:table/agent-state-dev-idempotency"]]
      WriteOwnLogs       = [["logs:CreateLogStream", "logs:PutLogEvents"], ["arn:aws:logs:eu-north-1:123456789012:log-group:/aws/lambda/agent-state-dev-agent-registry:*"]]
    }
    error_message = "The function may do what it does, and no more: ${module.agent_registry_function[0].policy_document}"
  }
}

run "systems_off_create_nothing" {
  command = plan

  variables {
    systems = []
  }

  assert {
    condition = (
      length(module.agent_registry_table) + length(module.agent_registry_function) + length(module.idempotency_table) + length(module.http_api)
      + length(aws_sns_topic.alarms) + length(aws_sns_topic_policy.alarms) + length(aws_cloudwatch_metric_alarm.user_errors)
      + length(aws_cloudwatch_dashboard.this) + length(aws_iam_policy.outside_access) + length(aws_iam_role_policy_attachment.outside_access) == 0
    )
    error_message = "Nothing at all."
  }

  assert {
    condition     = output.api == null && output.reply == null && length(output.systems) == 0 && length(output.verification.systems) == 0 && output.alarm_topic_arn == null
    error_message = "Outputs say that there is nothing."
  }
}

run "systems_off_leave_outside_roles_and_subscribers_alone" {
  command = plan

  variables {
    systems                = []
    attach_access_to_roles = { agent_registry = { roles = ["someone"] } }
    alarms                 = { subscribers = { ops = { endpoint = "ops@example.com" } } }
  }

  assert {
    condition     = length(aws_iam_policy.outside_access) + length(aws_iam_role_policy_attachment.outside_access) + length(aws_sns_topic_subscription.alarms) == 0
    error_message = "Nothing to grant and nothing to tell."
  }
}

run "memory_keeps_the_tables" {
  command = plan

  variables {
    persistence = { agent_registry = "memory" }
  }

  assert {
    condition     = output.systems.agent_registry.persistence == "memory" && output.verification.systems.agent_registry.persistence == "memory" && length(module.agent_registry_table) == 1
    error_message = "The way back must not cost the data."
  }
}

run "access_for_outside_roles" {
  command = plan

  variables {
    attach_access_to_roles = { agent_registry = { roles = ["planner", "worker"] } }
  }

  assert {
    condition     = toset([for attachment in aws_iam_role_policy_attachment.outside_access : attachment.role]) == toset(["planner", "worker"])
    error_message = "Each role by its name."
  }

  assert {
    condition     = aws_iam_policy.outside_access["agent_registry"].policy == output.systems.agent_registry.policy_documents.write
    error_message = "What is attached is the document that was reviewed."
  }
}

run "read_access_for_an_outside_role" {
  command = plan

  variables {
    attach_access_to_roles = { agent_registry = { roles = ["auditor"], access = "read" } }
  }

  assert {
    condition     = !strcontains(aws_iam_policy.outside_access["agent_registry"].policy, "PutItem")
    error_message = "Reading does not write."
  }
}

run "tables_as_the_caller_wants_them" {
  command = plan

  variables {
    name_prefix                 = "state"
    agent_registry              = { table_name = "Agents2" }
    idempotency                 = { table_name = "Markers", ttl_seconds = 3600 }
    point_in_time_recovery_days = 7
    deletion_protection         = false
    table_encryption            = { type = "CUSTOMER_MANAGED", kms_key_arn = "arn:aws:kms:eu-north-1:123456789012:key/1234" }
  }

  assert {
    condition = alltrue([
      for table in values(output.verification.systems.agent_registry.tables) : !table.deletion_protection && table.encryption == "CUSTOMER_MANAGED"
    ])
    error_message = "Protection and key are those of all tables."
  }

  assert {
    condition     = output.verification.systems.agent_registry.tables.agents.name == "Agents2" && output.verification.systems.agent_registry.tables.agents.point_in_time_recovery_days == 7 && output.verification.systems.agent_registry.tables.idempotency.name == "Markers" && output.systems.agent_registry.function_name == "state-dev-agent-registry"
    error_message = "Names and window as asked."
  }

  assert {
    condition     = strcontains(module.agent_registry_function[0].policy_document, "kms:GenerateDataKey")
    error_message = "The function may use the tables' key."
  }
}

run "recovery_off" {
  command = plan

  variables {
    enable_pitr = false
  }

  assert {
    condition     = output.verification.systems.agent_registry.tables.agents.point_in_time_recovery_days == 0
    error_message = "No recovery where it is switched off."
  }
}

run "alarms_to_a_given_topic" {
  command = plan

  variables {
    alarms = {
      topic_arn       = "arn:aws:sns:eu-north-1:123456789012:given"
      subscribers     = { ops = { endpoint = "ops@example.com" } }
      notify_recovery = false
      user_errors     = 0
    }
    enable_dashboard = false
  }

  assert {
    condition     = length(aws_sns_topic.alarms) == 0 && length(aws_sns_topic_policy.alarms) == 0 && output.alarm_topic_arn == "arn:aws:sns:eu-north-1:123456789012:given"
    error_message = "A given topic is used as it is."
  }

  assert {
    condition     = aws_sns_topic_subscription.alarms["ops"].topic_arn == "arn:aws:sns:eu-north-1:123456789012:given" && aws_sns_topic_subscription.alarms["ops"].protocol == "email"
    error_message = "Subscribers are told by e-mail unless said otherwise."
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.user_errors) == 0 && length(aws_cloudwatch_dashboard.this) == 0
    error_message = "0 leaves the alarm out; no dashboard when it is switched off."
  }
}

run "alarms_off" {
  command = plan

  variables {
    alarms = { enabled = false, subscribers = { ops = { endpoint = "ops@example.com" } } }
  }

  assert {
    condition     = length(aws_sns_topic.alarms) + length(aws_sns_topic_subscription.alarms) + length(aws_cloudwatch_metric_alarm.user_errors) == 0 && length(module.agent_registry_table[0].alarm_arns) + length(module.agent_registry_function[0].alarm_arns) + length(module.http_api[0].alarm_arns) == 0
    error_message = "No alarm, no topic, nobody to tell."
  }
}

run "local_may_be_open" {
  command = plan

  variables {
    environment = "local"
    api_auth    = "none"
  }

  assert {
    condition     = output.api.auth == "none"
    error_message = "On this machine, open is fine."
  }
}
