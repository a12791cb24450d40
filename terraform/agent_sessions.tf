# Sessions and messages of an AI agent's users, many tenants in the same tables.

locals {
  agent_sessions_on = contains(var.systems, "agent_sessions") ? 1 : 0

  agent_sessions_key_parameter_arn = var.agent_sessions.reply.key_parameter_name == null ? null : "arn:${data.aws_partition.current.partition}:ssm:${data.aws_region.current.id}:${data.aws_caller_identity.current.account_id}:parameter/${trimprefix(coalesce(var.agent_sessions.reply.key_parameter_name, "-"), "/")}"

  # The indexes by tenant, by table: those that systems of any kind know, and those that bear a tenant of any size.
  agent_sessions_tenant_indexes = {
    "agent_sessions.sessions" = concat(
      var.agent_sessions.tenant_shards.stage == "done" ? [] : ["TenantUserIndex"],
      var.agent_sessions.tenant_shards.stage == "off" ? [] : ["TenantShardUserIndex"],
    )
    "agent_sessions.messages" = concat(
      var.agent_sessions.tenant_shards.stage == "done" ? [] : ["TenantTimestampIndex"],
      var.agent_sessions.tenant_shards.stage == "off" ? [] : ["TenantShardTimestampIndex"],
    )
  }
  agent_sessions_reads_shards = contains(["read", "done"], var.agent_sessions.tenant_shards.stage)

  agent_sessions_tables = {
    "agent_sessions.sessions" = {
      hash_key  = { name = "id", type = "S" }
      range_key = { name = "tenantId", type = "S" }

      indexes = { for name, index in {
        "TenantUserIndex" = {
          hash_key  = { name = "tenantId", type = "S" }
          range_key = { name = "userId", type = "S" }
        }
        # Keys alone: what changes with every message is not in it.
        "TenantShardUserIndex" = {
          hash_key        = { name = "tenantShard", type = "S" }
          range_key       = { name = "userId", type = "S" }
          projection_type = "KEYS_ONLY"
        }
      } : name => index if contains(local.agent_sessions_tenant_indexes["agent_sessions.sessions"], name) }
    }

    "agent_sessions.messages" = {
      hash_key = { name = "id", type = "S" }
      # Old messages expire; the sessions stay.
      ttl = { attribute = "ttl" }

      indexes = { for name, index in {
        "SessionTimestampIndex" = {
          hash_key  = { name = "sessionId", type = "S" }
          range_key = { name = "timestamp", type = "S" }
        }
        # For others' reports over a tenant; no route reads either of these.
        "TenantTimestampIndex" = {
          hash_key  = { name = "tenantId", type = "S" }
          range_key = { name = "timestamp", type = "S" }
        }
        "TenantShardTimestampIndex" = {
          hash_key  = { name = "tenantShard", type = "S" }
          range_key = { name = "timestamp", type = "S" }
        }
      } : name => index if contains(concat(["SessionTimestampIndex"], local.agent_sessions_tenant_indexes["agent_sessions.messages"]), name) }
    }
  }
}

module "agent_sessions_table" {
  source    = "./modules/table"
  count     = local.agent_sessions_on
  providers = { aws = aws.tables }

  table = local.tables["agent_sessions.sessions"]

  alarms = merge(local.table_alarms, {
    system_error_operations = ["GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"]
  })
}

module "agent_messages_table" {
  source    = "./modules/table"
  count     = local.agent_sessions_on
  providers = { aws = aws.tables }

  table = local.tables["agent_sessions.messages"]

  alarms = merge(local.table_alarms, {
    system_error_operations = ["GetItem", "Query", "PutItem", "BatchWriteItem", "TransactWriteItems"]
  })
}

module "agent_sessions_function" {
  source = "./modules/function"
  count  = local.agent_sessions_on

  function = merge(local.function_settings.agent_sessions, {
    name        = local.names.functions.agent_sessions
    description = "Agent sessions: process messages, keep conversations of many tenants"

    environment = merge(
      local.function_environment.agent_sessions,
      {
        DYNAMODB_SESSIONS_TABLE      = module.agent_sessions_table[0].name
        DYNAMODB_MESSAGES_TABLE      = module.agent_messages_table[0].name
        TENANT_USER_INDEX_NAME       = local.index_names["agent_sessions.sessions/${local.agent_sessions_reads_shards ? "TenantShardUserIndex" : "TenantUserIndex"}"].read
        SESSION_TIMESTAMP_INDEX_NAME = local.index_names["agent_sessions.messages/SessionTimestampIndex"].read
        MESSAGE_TTL_DAYS             = tostring(var.agent_sessions.message_ttl_days)
        POINT_IN_TIME_RECOVERY_DAYS  = tostring(max([for table in keys(local.agent_sessions_tables) : local.tables[table].point_in_time_recovery_days]...))
        REPLY_BACKEND                = var.agent_sessions.reply.backend
        API_SERVER_TIMEOUT_SECONDS   = tostring(var.agent_sessions.reply.timeout_seconds)
        TENANT_CLAIM                 = var.token_claims.tenant
        USER_CLAIM                   = var.token_claims.user
      },
      { for stage in [var.agent_sessions.tenant_shards.stage] : "TENANT_SHARDS" => tostring(local.shards.TENANT_SHARDS.write) if stage != "off" },
      { for read in [local.shards.TENANT_SHARDS.read] : "TENANT_SHARDS_READ" => tostring(read) if local.agent_sessions_reads_shards },
      # Where the key lies, never the key.
      { for name, value in {
        API_SERVER_URL                = var.agent_sessions.reply.url
        API_SERVER_KEY_SECRET_ARN     = var.agent_sessions.reply.key_secret_arn
        API_SERVER_KEY_PARAMETER_NAME = var.agent_sessions.reply.key_parameter_name
      } : name => value if value != null },
    )
  })

  package = local.packages["agent_sessions"]
  alarms  = local.function_alarms

  statements = merge(
    {
      Sessions = {
        actions = [
          "dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", "dynamodb:DeleteItem", "dynamodb:GetItem",
          "dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem",
        ]
        resources = [module.agent_sessions_table[0].arn]
      }
      SessionsByTenantAndUser = {
        actions = ["dynamodb:Query"]
        resources = [
          for name in flatten([for index in local.agent_sessions_tenant_indexes["agent_sessions.sessions"] : local.index_names["agent_sessions.sessions/${index}"].all]) :
          module.agent_sessions_table[0].index_arns[name]
        ]
      }
      Messages = {
        actions   = ["dynamodb:BatchWriteItem", "dynamodb:GetItem", "dynamodb:PutItem"]
        resources = [module.agent_messages_table[0].arn]
      }
      MessagesBySession = {
        actions   = ["dynamodb:Query"]
        resources = [for name in local.index_names["agent_sessions.messages/SessionTimestampIndex"].all : module.agent_messages_table[0].index_arns[name]]
      }
    },
    { for sid in ["ReplyKeySecret"] : sid => {
      actions   = ["secretsmanager:GetSecretValue"]
      resources = [var.agent_sessions.reply.key_secret_arn]
    } if var.agent_sessions.reply.key_secret_arn != null },
    { for sid in ["ReplyKeyParameter"] : sid => {
      actions   = ["ssm:GetParameter"]
      resources = [local.agent_sessions_key_parameter_arn]
    } if local.agent_sessions_key_parameter_arn != null },
    # Only where the secret lies under a key of the account's own.
    { for sid in ["ReplyKeyDecryption"] : sid => {
      actions   = ["kms:Decrypt"]
      resources = [var.agent_sessions.reply.key_kms_key_arn]
      condition = { StringEquals = { "kms:ViaService" = ["${var.agent_sessions.reply.key_secret_arn == null ? "ssm" : "secretsmanager"}.${data.aws_region.current.id}.${data.aws_partition.current.dns_suffix}"] } }
    } if var.agent_sessions.reply.key_kms_key_arn != null },
    module.agent_sessions_table[0].key_statements.write,
    module.agent_messages_table[0].key_statements.write,
  )
}

locals {
  agent_sessions = {
    for system in setintersection(var.systems, ["agent_sessions"]) : system => {
      function = module.agent_sessions_function[0]
      tables   = { sessions = module.agent_sessions_table[0], messages = module.agent_messages_table[0] }
    }
  }
}
