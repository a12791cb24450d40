locals {
  reserved = coalesce(var.function.reserved_concurrency, 0)

  whole_function = { FunctionName = aws_lambda_function.this.function_name }
  # Lambda reports provisioned concurrency by alias.
  live_alias = { FunctionName = aws_lambda_function.this.function_name, Resource = "${aws_lambda_function.this.function_name}:${aws_lambda_alias.live.name}" }

  alarms = {
    errors = {
      metric      = "Errors"
      dimensions  = local.whole_function
      statistic   = "Sum"
      threshold   = var.alarms.errors
      description = "Invocations of ${var.function.name} fail. Look for the error in the log group ${aws_cloudwatch_log_group.this.name}."
    }
    throttles = {
      metric      = "Throttles"
      dimensions  = local.whole_function
      statistic   = "Sum"
      threshold   = var.alarms.throttles
      description = "Lambda refuses invocations of ${var.function.name}: its reserved concurrency, or the account's, is used up."
    }
    duration = {
      metric      = "Duration"
      dimensions  = local.whole_function
      statistic   = "p99"
      threshold   = var.function.timeout_seconds * 10 * var.alarms.duration_percent
      description = "The slowest invocations of ${var.function.name} take over ${var.alarms.duration_percent} % of the timeout of ${var.function.timeout_seconds} s."
    }
    concurrency = {
      metric     = "ConcurrentExecutions"
      dimensions = local.whole_function
      statistic  = "Maximum"
      # A stopped function needs none. At least 1, since an alarm on 0 executions would always be on.
      threshold = (
        var.function.reserved_concurrency == null ? var.alarms.concurrent_executions :
        local.reserved * var.alarms.concurrency_percent == 0 ? 0 :
        max(1, floor(local.reserved * var.alarms.concurrency_percent / 100))
      )
      description = "${var.function.name} runs close to the number of environments that it may have; beyond it Lambda throttles."
    }
    dead-letter-errors = {
      metric      = "DeadLetterErrors"
      dimensions  = local.whole_function
      statistic   = "Sum"
      threshold   = var.function.dead_letter_arn == null ? 0 : var.alarms.dead_letter_errors
      description = "Events of ${var.function.name} that failed could not be put on the dead-letter target either: they are lost."
    }
    provisioned-spillover = {
      metric      = "ProvisionedConcurrencySpilloverInvocations"
      dimensions  = local.live_alias
      statistic   = "Sum"
      threshold   = var.function.provisioned_concurrency == 0 ? 0 : var.alarms.provisioned_spillover
      description = "${var.function.name} gets more calls than its provisioned concurrency serves; the rest meet cold starts."
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = { for key, alarm in local.alarms : key => alarm if var.alarms.enabled && alarm.threshold > 0 }

  alarm_name          = "${var.function.name}-${each.key}"
  alarm_description   = each.value.description
  namespace           = "AWS/Lambda"
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = startswith(each.value.statistic, "p") ? null : each.value.statistic
  extended_statistic  = startswith(each.value.statistic, "p") ? each.value.statistic : null
  period              = var.alarms.period_seconds
  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = each.value.threshold
  alarm_actions       = var.alarms.actions
  ok_actions          = var.alarms.ok_actions
  # No invocations, no data point: that is not an alarm.
  treat_missing_data = "notBreaching"
  tags               = var.function.tags
}
