output "name" {
  description = "Name of the table."
  value       = aws_dynamodb_table.this.name
}

output "arn" {
  description = "ARN of the table, known in the plan."
  value       = local.arn
  # Built from the name to be known early; whoever uses it must still wait for the table.
  depends_on = [aws_dynamodb_table.this]
}

output "index_arns" {
  description = "ARNs of the global secondary indexes by name, known in the plan."
  value       = local.index_arns
  depends_on  = [aws_dynamodb_table.this]
}

output "stream_arn" {
  description = "ARN of the stream; null without one."
  value       = local.stream_view_type == null ? null : aws_dynamodb_table.this.stream_arn
}

output "policy_documents" {
  description = "Least-privilege IAM policy documents as JSON: `read`, `write` (read included) and `admin` (both included), known in the plan."
  value       = local.policy_documents
}

output "statements" {
  description = "The same as maps of statements by Sid (`actions`, `resources`, `condition`), to be combined with those of other tables."
  value       = local.statements
}

output "key_statements" {
  description = "Only what the customer's KMS key needs, by level; empty with other encryption. For roles whose table statements are written by hand."
  value       = local.key_statements
}

output "alarm_arns" {
  description = "ARNs of the alarms by key."
  value       = { for key, alarm in aws_cloudwatch_metric_alarm.this : key => alarm.arn }
}

output "declared" {
  description = "What the table is declared to be, in the shape that verification compares with what AWS has."
  value = {
    name         = aws_dynamodb_table.this.name
    hash_key     = var.table.hash_key.name
    range_key    = try(var.table.range_key.name, null)
    billing_mode = var.table.billing_mode
    # Null where there is nothing to compare: with on-demand billing, and where a scaler moves the number.
    read_capacity               = local.declared_units["table"].read
    write_capacity              = local.declared_units["table"].write
    point_in_time_recovery_days = var.table.point_in_time_recovery_days
    ttl_attribute               = try(var.table.ttl.enabled, false) ? var.table.ttl.attribute : null
    deletion_protection         = var.table.deletion_protection
    encryption                  = var.table.encryption.type
    kms_key_arn                 = var.table.encryption.kms_key_arn
    stream_view_type            = local.stream_view_type
    table_class                 = var.table.table_class
    replicas                    = sort(keys(var.table.replicas))
    indexes = {
      for name, index in var.table.indexes : name => {
        hash_key           = index.hash_key.name
        range_key          = try(index.range_key.name, null)
        projection_type    = index.projection_type
        non_key_attributes = sort(index.non_key_attributes)
        read_capacity      = local.declared_units["index ${name}"].read
        write_capacity     = local.declared_units["index ${name}"].write
      }
    }
  }
}
