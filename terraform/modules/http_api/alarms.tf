locals {
  alarms = {
    server-errors = {
      metric      = "5xx"
      statistic   = "Sum"
      threshold   = var.alarms.server_errors
      description = "The API ${var.api.name} answers with 5xx: look at the access logs (${aws_cloudwatch_log_group.access.name}), then at the function's."
    }
    latency = {
      metric      = "Latency"
      statistic   = "p99"
      threshold   = var.alarms.latency_milliseconds
      description = "The slowest requests to the API ${var.api.name} take over ${var.alarms.latency_milliseconds} ms."
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = { for key, alarm in local.alarms : key => alarm if var.alarms.enabled && alarm.threshold > 0 }

  alarm_name          = "${var.api.name}-api-${each.key}"
  alarm_description   = each.value.description
  namespace           = "AWS/ApiGateway"
  metric_name         = each.value.metric
  dimensions          = { ApiId = aws_apigatewayv2_api.this.id }
  statistic           = startswith(each.value.statistic, "p") ? null : each.value.statistic
  extended_statistic  = startswith(each.value.statistic, "p") ? each.value.statistic : null
  period              = var.alarms.period_seconds
  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = each.value.threshold
  alarm_actions       = var.alarms.actions
  ok_actions          = var.alarms.ok_actions
  # No requests, no data point: that is not an alarm.
  treat_missing_data = "notBreaching"
  tags               = var.api.tags
}
