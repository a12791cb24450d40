# Every alarm here has the exact dimensions under which DynamoDB publishes the metric: with any others CloudWatch
# accepts the alarm, and it stays silent for ever.

locals {
  data_operations = [
    "BatchGetItem", "BatchWriteItem", "DeleteItem", "ExecuteStatement", "ExecuteTransaction", "GetItem", "PutItem",
    "Query", "Scan", "TransactGetItems", "TransactWriteItems", "UpdateItem",
  ]

  throttles = {
    read-throttles  = { metric = "ReadThrottleEvents", threshold = var.alarms.read_throttle_events, what = "reads" }
    write-throttles = { metric = "WriteThrottleEvents", threshold = var.alarms.write_throttle_events, what = "writes" }
  }

  alarms = merge(
    {
      for key, throttle in local.throttles : key => {
        metric      = throttle.metric
        dimensions  = { TableName = aws_dynamodb_table.this.name }
        threshold   = throttle.threshold
        description = "DynamoDB throttles ${throttle.what} of table ${var.table.name}: callers wait or fail. Look for a hot key, then at the table's capacity."
      }
    },
    merge([
      for index in keys(var.table.indexes) : {
        for key, throttle in local.throttles : "${index}-${key}" => {
          metric      = throttle.metric
          dimensions  = { TableName = aws_dynamodb_table.this.name, GlobalSecondaryIndexName = index }
          threshold   = throttle.threshold
          description = "DynamoDB throttles ${throttle.what} of index ${index} of table ${var.table.name}. A throttled index also holds up writes to the table."
        }
      }
    ]...),
    # One alarm an operation: SystemErrors has no series for the whole table, and metric math over several would cost
    # the same (CloudWatch bills each metric in it) without saying which call fails.
    {
      for operation in var.alarms.system_error_operations : "system-errors-${operation}" => {
        metric      = "SystemErrors"
        dimensions  = { TableName = aws_dynamodb_table.this.name, Operation = operation }
        threshold   = var.alarms.system_errors
        description = "DynamoDB answers ${operation} on table ${var.table.name} with its own errors (HTTP 500). Callers retry; look at the AWS Health Dashboard if it lasts."
      }
    },
    # DynamoDB counts what an index takes apart.
    {
      for key, unit in local.limits : "${join("-", concat(unit.place == "table" ? [] : [split(" ", unit.place)[1]], [unit.kind]))}-capacity" => {
        metric      = "Consumed${title(unit.kind)}CapacityUnits"
        dimensions  = merge({ TableName = aws_dynamodb_table.this.name }, unit.place == "table" ? {} : { GlobalSecondaryIndexName = split(" ", unit.place)[1] })
        threshold   = unit.most * var.alarms.period_seconds * var.alarms.consumed_capacity_percent / 100
        description = "${title(unit.kind)}s of ${unit.place == "table" ? "" : "${unit.place} of "}table ${var.table.name} use ${var.alarms.consumed_capacity_percent} % of the ${unit.limit}: beyond, DynamoDB throttles. ${unit.remedy}"
      } if try(unit.most > 0, false)
    },
    {
      conditional-check-failures = {
        metric      = "ConditionalCheckFailedRequests"
        dimensions  = { TableName = aws_dynamodb_table.this.name }
        threshold   = var.alarms.conditional_check_failures
        description = "Many conditional writes to table ${var.table.name} are refused: writers compete for the same items, or retry what has been done."
      }
    },
  )
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = { for key, alarm in local.alarms : key => alarm if var.alarms.enabled && alarm.threshold > 0 }

  alarm_name          = "${var.table.name}-${each.key}"
  alarm_description   = each.value.description
  namespace           = "AWS/DynamoDB"
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = "Sum"
  period              = var.alarms.period_seconds
  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = each.value.threshold
  alarm_actions       = var.alarms.actions
  ok_actions          = var.alarms.ok_actions
  # These metrics have no data point while all is well; the default for AWS/DynamoDB would keep an alarm on for ever.
  treat_missing_data = "notBreaching"
  tags               = var.table.tags
}
