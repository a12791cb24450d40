# Chat sessions with their messages in one table, a session's items in one partition.

locals {
  chat_sessions_on = contains(var.systems, "chat_sessions") ? 1 : 0

  chat_sessions_tables = {
    "chat_sessions.sessions" = {
      hash_key  = { name = "PK", type = "S" }
      range_key = { name = "SK", type = "S" }
      ttl       = { attribute = "ttl" }

      indexes = {
        "UserSessionsIndex" = {
          hash_key  = { name = "GSI1PK", type = "S" }
          range_key = { name = "GSI1SK", type = "S" }
        }
      }
    }
  }
}

module "chat_sessions_table" {
  source    = "./modules/table"
  count     = local.chat_sessions_on
  providers = { aws = aws.tables }

  table = local.tables["chat_sessions.sessions"]

  alarms = merge(local.table_alarms, {
    system_error_operations = ["GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"]
  })
}

module "chat_sessions_function" {
  source = "./modules/function"
  count  = local.chat_sessions_on

  function = merge(local.function_settings.chat_sessions, {
    name        = local.names.functions.chat_sessions
    description = "Chat sessions: keep conversations, newest messages and a user's sessions by recency"

    environment = merge(
      local.function_environment.chat_sessions,
      local.idempotency_environment,
      local.shard_environment.DELETION_SHARDS,
      { for seconds in [var.chat_sessions.recency_granularity_seconds] : "RECENCY_GRANULARITY_SECONDS" => tostring(seconds) if seconds > 0 },
      {
        DYNAMODB_TABLE_NAME      = module.chat_sessions_table[0].name
        USER_SESSIONS_INDEX_NAME = local.index_names["chat_sessions.sessions/UserSessionsIndex"].read
        SESSION_TTL_DAYS         = tostring(var.chat_sessions.session_ttl_days)
        SESSION_TTL_BASE         = var.chat_sessions.session_ttl_base
        USER_CLAIM               = var.token_claims.user
      },
    )
  })

  package = local.packages["chat_sessions"]
  alarms  = local.function_alarms

  statements = merge(
    {
      Sessions = {
        actions = [
          "dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", "dynamodb:DeleteItem", "dynamodb:GetItem",
          "dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem",
        ]
        resources = [module.chat_sessions_table[0].arn]
      }
      SessionsByUser = {
        actions   = ["dynamodb:Query"]
        resources = [for name in local.index_names["chat_sessions.sessions/UserSessionsIndex"].all : module.chat_sessions_table[0].index_arns[name]]
      }
    },
    local.idempotency_statements,
    module.chat_sessions_table[0].key_statements.write,
  )
}

# A deletion hides its session at once; what a killed or timed out function left of the messages goes within the hour.
resource "aws_cloudwatch_event_rule" "chat_sessions_deletions" {
  count = local.chat_sessions_on

  name                = local.names.rules.chat_sessions_deletions
  description         = "Finish deletions of chat sessions that were interrupted"
  schedule_expression = "rate(1 hour)"
}

resource "aws_cloudwatch_event_target" "chat_sessions_deletions" {
  count = local.chat_sessions_on

  rule  = aws_cloudwatch_event_rule.chat_sessions_deletions[0].name
  arn   = module.chat_sessions_function[0].alias_arn
  input = jsonencode({ action = "finish-deletions" })
}

resource "aws_lambda_permission" "chat_sessions_deletions" {
  count = local.chat_sessions_on

  statement_id  = "FinishDeletions"
  action        = "lambda:InvokeFunction"
  function_name = module.chat_sessions_function[0].name
  qualifier     = module.chat_sessions_function[0].alias_name
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.chat_sessions_deletions[0].arn
}

locals {
  chat_sessions = {
    for system in setintersection(var.systems, ["chat_sessions"]) : system => {
      function = module.chat_sessions_function[0]
      tables   = { sessions = module.chat_sessions_table[0], idempotency = module.idempotency_table[0] }
    }
  }
}
