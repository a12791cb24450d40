# One table for all systems: a create leaves a marker here, in the transaction that writes its item, so that a retry with
# the same Idempotency-Key returns the first answer.

locals {
  idempotency_tables = {
    "idempotency.markers" = {
      hash_key = { name = "id", type = "S" }
      ttl      = { attribute = "ttl" }
      # Markers live a day and are of no use afterwards: there is nothing to restore.
      point_in_time_recovery_days = 0
    }
  }
}

module "idempotency_table" {
  source    = "./modules/table"
  count     = length(local.idempotent_systems) > 0 ? 1 : 0
  providers = { aws = aws.tables }

  table = local.tables["idempotency.markers"]

  alarms = merge(local.table_alarms, { system_error_operations = ["GetItem", "TransactWriteItems"] })
}

locals {
  # A retried message of the agent sessions is found by its own id: erasing a user must leave nothing here.
  idempotent_systems = setsubtract(var.systems, ["agent_sessions"])

  idempotency_environment = merge([
    for table in module.idempotency_table : {
      IDEMPOTENCY_TABLE_NAME  = table.name
      IDEMPOTENCY_TTL_SECONDS = tostring(var.idempotency.ttl_seconds)
    }
  ]...)

  # What every function that keeps markers may do with them.
  idempotency_statements = merge([
    for table in module.idempotency_table : merge(
      {
        Idempotency = {
          actions   = ["dynamodb:GetItem", "dynamodb:PutItem"]
          resources = [table.arn]
        }
      },
      table.key_statements.write,
    )
  ]...)
}
