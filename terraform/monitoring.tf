# Where alarms go, the one alarm that belongs to no table, and a dashboard.

locals {
  monitored = length(var.systems) > 0 && var.alarms.enabled
  own_topic = local.monitored && var.alarms.topic_arn == null ? 1 : 0

  # Built from the name to be known in the plan, as the topic's policy is.
  topic_arn = "arn:${data.aws_partition.current.partition}:sns:${data.aws_region.current.id}:${data.aws_caller_identity.current.account_id}:${local.names.topic}"

  alarm_topic_arns = local.own_topic == 1 ? aws_sns_topic.alarms[*].arn : var.alarms.topic_arn[*]
}

resource "aws_sns_topic" "alarms" {
  #checkov:skip=CKV_AWS_26:CloudWatch may not use the AWS-managed key of SNS, so alarms would be lost; an own key is given by alarms.topic_kms_key_arn
  count = local.own_topic

  name              = local.names.topic
  kms_master_key_id = var.alarms.topic_kms_key_arn
}

resource "aws_sns_topic_policy" "alarms" {
  count = local.own_topic

  arn = aws_sns_topic.alarms[0].arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid       = "AlarmsOfThisAccount"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = local.topic_arn
        Condition = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.current.account_id } }
      },
      {
        Sid       = "OnlyOverTLS"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sns:Publish"
        Resource  = local.topic_arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ], local.failed_backup_statements)
  })
}

resource "aws_sns_topic_subscription" "alarms" {
  for_each = { for name, subscriber in var.alarms.subscribers : name => subscriber if local.monitored }

  topic_arn = local.alarm_topic_arns[0]
  protocol  = each.value.protocol
  endpoint  = each.value.endpoint
}

# DynamoDB counts requests it finds invalid for the account and region as a whole: with a table's name among the
# dimensions this alarm could never go off.
resource "aws_cloudwatch_metric_alarm" "user_errors" {
  count = local.monitored && var.alarms.user_errors > 0 ? 1 : 0

  alarm_name          = "${local.name}-dynamodb-user-errors"
  alarm_description   = "DynamoDB refuses requests in this account and region as invalid (HTTP 400): a program sends wrong keys, expressions or credentials."
  namespace           = "AWS/DynamoDB"
  metric_name         = "UserErrors"
  statistic           = "Sum"
  period              = var.alarms.period_seconds
  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = var.alarms.user_errors
  alarm_actions       = local.alarm_routing.actions
  ok_actions          = local.alarm_routing.ok_actions
  treat_missing_data  = "notBreaching"
}

locals {
  declared_tables = merge([for system in values(local.systems) : { for table in values(system.tables) : table.name => table.declared }]...)

  api_widgets = [
    for api in module.http_api : {
      title = "API"
      metrics = [
        ["AWS/ApiGateway", "Count", "ApiId", api.id, { stat = "Sum" }],
        ["AWS/ApiGateway", "4xx", "ApiId", api.id, { stat = "Sum" }],
        ["AWS/ApiGateway", "5xx", "ApiId", api.id, { stat = "Sum" }],
        ["AWS/ApiGateway", "Latency", "ApiId", api.id, { stat = "p99", yAxis = "right" }],
      ]
    }
  ]

  function_widgets = [
    for name, system in local.systems : {
      title = system.function.name
      metrics = [
        ["AWS/Lambda", "Invocations", "FunctionName", system.function.name, { stat = "Sum" }],
        ["AWS/Lambda", "Errors", "FunctionName", system.function.name, { stat = "Sum" }],
        ["AWS/Lambda", "Throttles", "FunctionName", system.function.name, { stat = "Sum" }],
        ["AWS/Lambda", "Duration", "FunctionName", system.function.name, { stat = "p50", yAxis = "right" }],
        ["AWS/Lambda", "Duration", "FunctionName", system.function.name, { stat = "p99", yAxis = "right" }],
      ]
    }
  ]

  table_widgets = [
    for name, table in local.declared_tables : {
      title = name
      metrics = concat(
        [for metric in ["ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits", "ReadThrottleEvents", "WriteThrottleEvents"] : ["AWS/DynamoDB", metric, "TableName", name, { stat = "Sum" }]],
        # Not flatten: it would take the metrics themselves apart.
        [for pair in setproduct(keys(table.indexes), ["ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits"]) : ["AWS/DynamoDB", pair[1], "TableName", name, "GlobalSecondaryIndexName", pair[0], { stat = "Sum" }]],
      )
    }
  ]

  widgets = concat(local.api_widgets, local.function_widgets, local.table_widgets)
}

resource "aws_cloudwatch_dashboard" "this" {
  count = length(var.systems) > 0 && var.enable_dashboard ? 1 : 0

  dashboard_name = local.names.dashboard
  dashboard_body = jsonencode({
    # Three to a row.
    widgets = [
      for place, widget in local.widgets : {
        type   = "metric"
        x      = (place % 3) * 8
        y      = floor(place / 3) * 6
        width  = 8
        height = 6
        properties = {
          title   = widget.title
          region  = data.aws_region.current.id
          view    = "timeSeries"
          period  = 300
          metrics = widget.metrics
        }
      }
    ]
  })
}
