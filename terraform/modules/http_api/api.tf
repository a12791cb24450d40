resource "aws_apigatewayv2_api" "this" {
  name          = var.api.name
  description   = var.api.description
  protocol_type = "HTTP"
  tags          = var.api.tags

  lifecycle {
    precondition {
      condition     = length(local.contested_paths) == 0
      error_message = "One path is claimed twice, and one function only can answer it: ${join("; ", local.contested_paths)}. Rename one in its openapi.yaml."
    }
  }
}

resource "aws_apigatewayv2_stage" "default" {
  api_id      = aws_apigatewayv2_api.this.id
  name        = "$default"
  auto_deploy = true
  tags        = var.api.tags

  default_route_settings {
    throttling_burst_limit   = var.api.throttling.burst_limit
    throttling_rate_limit    = var.api.throttling.rate_limit
    detailed_metrics_enabled = var.api.detailed_metrics
  }

  # Nothing that a caller makes up: a path holds ids of users and tenants; the route says which it was.
  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.access.arn
    format = jsonencode({
      requestId          = "$context.requestId"
      time               = "$context.requestTime"
      routeKey           = "$context.routeKey"
      status             = "$context.status"
      protocol           = "$context.protocol"
      responseBytes      = "$context.responseLength"
      latency            = "$context.responseLatency"
      integrationLatency = "$context.integrationLatency"
      functionRequestId  = "$context.integration.requestId"
      functionStatus     = "$context.integration.status"
      error              = "$context.error.message"
      integrationError   = "$context.integration.error"
      authorizerError    = "$context.authorizer.error"
      sourceIp           = "$context.identity.sourceIp"
      caller             = "$context.identity.userArn"
    })
  }
}

# Under /aws/vendedlogs/ by intent: whoever sets up the stage has API Gateway add the group to the account's log
# resource policy by itself, and for this prefix one entry serves all groups, so that the policy never hits its limit
# of 5,120 characters.
resource "aws_cloudwatch_log_group" "access" {
  #checkov:skip=CKV_AWS_158:CloudWatch Logs encrypts by itself; an own key is the caller's choice (api.log_kms_key_arn)
  #checkov:skip=CKV_AWS_338:how long to keep logs is the caller's choice (api.log_retention_days, 30 by default): they cost by the gigabyte
  name              = "/aws/vendedlogs/http-api/${var.api.name}"
  retention_in_days = var.api.log_retention_days
  kms_key_id        = var.api.log_kms_key_arn
  tags              = var.api.tags
}
