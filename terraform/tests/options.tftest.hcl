# Backups, the tables' own key and the way from a VPC: each a variable, each silent by default.

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
  systems         = ["agent_registry"]
}

run "nothing_unless_asked_for" {
  command = plan

  assert {
    condition     = length(module.backup) + length(module.table_key) + length(module.dynamodb_vpc_endpoint) == 0 && output.backup == null && output.table_kms_key_arn == null && output.dynamodb_vpc_endpoint == null
    error_message = "No vault, no key, no endpoint."
  }

  assert {
    condition     = !strcontains(aws_sns_topic_policy.alarms[0].policy, "events.amazonaws.com")
    error_message = "Where nothing is backed up, nobody tells of it: ${aws_sns_topic_policy.alarms[0].policy}"
  }
}

run "everything_at_once" {
  command = plan

  variables {
    alarms                = { topic_arn = "arn:aws:sns:eu-north-1:123456789012:ops" }
    function_defaults     = { role_path = "/agents/", permissions_boundary_arn = "arn:aws:iam::123456789012:policy/boundary" }
    backup                = { lock = { max_retention_days = 400 } }
    dynamodb_vpc_endpoint = { vpc_id = "vpc-0a1b2c3d", route_table_ids = ["rtb-0a1b2c3d"], other_table_arns = ["arn:aws:dynamodb:eu-north-1:123456789012:table/Elsewhere"] }
    table_encryption      = { type = "CUSTOMER_MANAGED", create_kms_key = { rotation_days = 180, user_arns = ["arn:aws:iam::123456789012:role/deploy"] } }
  }

  assert {
    condition     = module.backup[0].vault_name == "agent-state-dev-backup" && strcontains(module.backup[0].policy_document, "table/AgentRegistry\"") && !strcontains(module.backup[0].policy_document, "idempotency")
    error_message = "The registry's table, not the markers: ${module.backup[0].policy_document}"
  }

  assert {
    condition = toset(jsondecode(module.table_key[0].policy).Statement[3].Condition.ArnLike["aws:PrincipalArn"]) == toset([
      "arn:aws:iam::123456789012:role/agents/agent-state-dev-agent-registry",
      "arn:aws:iam::123456789012:role/agents/agent-state-dev-backup",
      "arn:aws:iam::123456789012:role/deploy",
    ])
    error_message = "The stack's own roles use its key, too: ${module.table_key[0].policy}"
  }

  assert {
    condition     = !strcontains(module.agent_registry_function[0].policy_document, "kms:") && !strcontains(output.systems.agent_registry.policy_documents.admin, "kms:")
    error_message = "The key lets them in itself; their policies stay known in the plan."
  }

  assert {
    condition = toset(jsondecode(module.dynamodb_vpc_endpoint[0].policy).Statement[0].Resource) == toset(flatten([
      for table in ["AgentRegistry", "agent-state-dev-idempotency", "Elsewhere"] : ["arn:aws:dynamodb:eu-north-1:123456789012:table/${table}", "arn:aws:dynamodb:eu-north-1:123456789012:table/${table}/index/*"]
    ]))
    error_message = "All that the functions need, and what was named: ${module.dynamodb_vpc_endpoint[0].policy}"
  }
}

run "a_key_for_whoever_dynamodb_lets_in" {
  command = plan

  variables {
    table_encryption = { type = "CUSTOMER_MANAGED", create_kms_key = {} }
    backup           = { exclude = ["agent_registry.agents"] }
  }

  assert {
    condition     = !strcontains(module.table_key[0].policy, "aws:PrincipalArn") && module.table_key[0].alias_name == "alias/agent-state-dev-tables"
    error_message = "Without named users, DynamoDB decides: ${module.table_key[0].policy}"
  }

  assert {
    condition     = length(module.backup) == 0
    error_message = "No plan for no table."
  }
}

run "a_key_of_the_callers_own_is_for_backups_too" {
  command = plan

  variables {
    table_encryption = { type = "CUSTOMER_MANAGED", kms_key_arn = "arn:aws:kms:eu-north-1:123456789012:key/1234" }
    backup           = { rules = { weekly = { schedule = "cron(0 5 ? * SUN *)", delete_after_days = 90 } }, name = "weekly" }
  }

  assert {
    condition     = strcontains(module.backup[0].policy_document, "key/1234") && module.backup[0].vault_name == "weekly" && length(module.table_key) == 0
    error_message = "Its policy leaves it to IAM who uses it: ${module.backup[0].policy_document}"
  }

  assert {
    condition     = strcontains(aws_sns_topic_policy.alarms[0].policy, "rule/weekly-failed-*")
    error_message = "Failed jobs reach the alarms' topic: ${aws_sns_topic_policy.alarms[0].policy}"
  }
}

run "tables_of_no_system_and_keys_of_single_tables" {
  command = plan

  variables {
    extra_tables = {
      Orders = { hash_key = { name = "id", type = "S" }, encryption = { type = "CUSTOMER_MANAGED", kms_key_arn = "arn:aws:kms:eu-north-1:123456789012:key/orders" } }
      Drafts = { hash_key = { name = "id", type = "S" } }
    }
    backup                   = { exclude = ["Drafts", "agent_registry.agents", "pet_store.pets"] }
    dynamodb_vpc_endpoint    = { vpc_id = "vpc-0a1b2c3d", route_table_ids = ["rtb-0a1b2c3d"] }
    permissions_boundary_arn = "arn:aws:iam::123456789012:policy/boundary"
  }

  assert {
    condition     = { for statement in jsondecode(module.backup[0].policy_document).Statement : statement.Sid => statement.Resource if contains(["Tables", "Keys"], statement.Sid) } == { Keys = ["arn:aws:kms:eu-north-1:123456789012:key/orders"], Tables = ["arn:aws:dynamodb:eu-north-1:123456789012:table/Orders"] }
    error_message = "What is left, and its key: ${module.backup[0].policy_document}"
  }

  assert {
    condition     = strcontains(module.dynamodb_vpc_endpoint[0].policy, "table/Orders") && strcontains(module.dynamodb_vpc_endpoint[0].policy, "table/Drafts")
    error_message = "The endpoint leads there, too: ${module.dynamodb_vpc_endpoint[0].policy}"
  }
}
