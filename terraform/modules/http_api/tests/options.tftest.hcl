mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  api = { name = "agents" }
  systems = {
    agents = { openapi = "tests/fixtures/agents.yaml", function_name = "agents", alias_name = "live", alias_invoke_arn = "arn:aws:apigateway:eu-north-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-north-1:123456789012:function:agents:live/invocations" }
    pets   = { openapi = "tests/fixtures/pets.yaml", function_name = "pets", alias_name = "live", alias_invoke_arn = "arn:aws:apigateway:eu-north-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-north-1:123456789012:function:pets:live/invocations" }
  }
}

run "routes_are_those_of_the_openapi_files" {
  command = plan

  assert {
    condition     = toset(keys(aws_apigatewayv2_route.this)) == toset(["GET /agents", "POST /agents", "ANY /agents", "GET /agents/{id}", "ANY /agents/{id}", "GET /pets", "ANY /pets"])
    error_message = "The methods of each path, and ANY for the others: ${join(", ", keys(aws_apigatewayv2_route.this))}"
  }

  assert {
    condition     = { for system, routes in output.routes : system => toset(routes) } == { agents = toset(["GET /agents", "POST /agents", "GET /agents/{id}"]), pets = toset(["GET /pets"]) }
    error_message = "Routes by system: ${jsonencode(output.routes)}"
  }

  assert {
    condition     = jsonencode(local.systems_by_route["ANY /agents/{id}"]) == jsonencode(["agents"]) && jsonencode(local.systems_by_route["ANY /pets"]) == jsonencode(["pets"])
    error_message = "A wrong method goes to the path's own system: ${jsonencode(local.systems_by_route)}"
  }

  assert {
    condition     = alltrue([for key, route in aws_apigatewayv2_route.this : route.route_key == key && route.authorization_type == "AWS_IAM"])
    error_message = "Callers sign their requests unless said otherwise."
  }

  assert {
    condition     = alltrue([for system, integration in aws_apigatewayv2_integration.this : integration.integration_uri == var.systems[system].alias_invoke_arn && integration.payload_format_version == "2.0" && integration.timeout_milliseconds == 30000])
    error_message = "Each system's function answers, through its alias."
  }

  assert {
    condition     = alltrue([for system, permission in aws_lambda_permission.this : permission.function_name == system && permission.qualifier == "live" && permission.principal == "apigateway.amazonaws.com"])
    error_message = "API Gateway may invoke the alias."
  }

  assert {
    condition     = aws_apigatewayv2_stage.default.name == "$default" && aws_apigatewayv2_stage.default.auto_deploy && aws_apigatewayv2_stage.default.default_route_settings[0].throttling_rate_limit == 100 && aws_apigatewayv2_stage.default.default_route_settings[0].throttling_burst_limit == 200
    error_message = "The default stage deploys by itself and is throttled."
  }

  assert {
    condition     = aws_cloudwatch_log_group.access.name == "/aws/vendedlogs/http-api/agents" && aws_cloudwatch_log_group.access.retention_in_days == 30 && can(jsondecode(aws_apigatewayv2_stage.default.access_log_settings[0].format).requestId)
    error_message = "Access logs as JSON, under the prefix for delivered logs."
  }
}

run "permission_is_for_this_api_only" {
  # Applied (to the mock), since the ARN is AWS's to give.
  command = apply

  override_resource {
    target = aws_apigatewayv2_api.this
    values = { execution_arn = "arn:aws:execute-api:eu-north-1:123456789012:abc123" }
  }

  override_resource {
    target = aws_cloudwatch_log_group.access
    values = { arn = "arn:aws:logs:eu-north-1:123456789012:log-group:/aws/vendedlogs/http-api/agents" }
  }

  assert {
    condition     = alltrue([for permission in aws_lambda_permission.this : permission.source_arn == "arn:aws:execute-api:eu-north-1:123456789012:abc123/*/*"])
    error_message = "Another API must not reach the function."
  }
}

run "open_to_anybody_and_tuned" {
  command = plan

  variables {
    api = {
      name                             = "agents"
      description                      = "Agents"
      authorization                    = "none"
      throttling                       = { burst_limit = 5, rate_limit = 2 }
      integration_timeout_milliseconds = 5000
      detailed_metrics                 = true
      log_retention_days               = 7
      log_kms_key_arn                  = "arn:aws:kms:eu-north-1:123456789012:key/1234"
      tags                             = { Team = "agents" }
    }
  }

  assert {
    condition     = alltrue([for route in aws_apigatewayv2_route.this : route.authorization_type == "NONE"])
    error_message = "none is none."
  }

  assert {
    condition = (
      aws_apigatewayv2_stage.default.default_route_settings[0].throttling_rate_limit == 2
      && aws_apigatewayv2_stage.default.default_route_settings[0].throttling_burst_limit == 5
      && aws_apigatewayv2_stage.default.default_route_settings[0].detailed_metrics_enabled
      && alltrue([for integration in aws_apigatewayv2_integration.this : integration.timeout_milliseconds == 5000])
      && aws_cloudwatch_log_group.access.retention_in_days == 7
      && aws_cloudwatch_log_group.access.kms_key_id == "arn:aws:kms:eu-north-1:123456789012:key/1234"
      && aws_apigatewayv2_api.this.tags.Team == "agents"
    )
    error_message = "Settings reach the API."
  }
}

run "alarms_by_default" {
  command = plan

  variables {
    alarms = { actions = ["arn:aws:sns:eu-north-1:123456789012:alarms"] }
  }

  assert {
    condition     = { for key, alarm in aws_cloudwatch_metric_alarm.this : key => [alarm.metric_name, alarm.threshold, alarm.namespace, alarm.treat_missing_data] } == { server-errors = ["5xx", 1, "AWS/ApiGateway", "notBreaching"] }
    error_message = "Server errors; latency only when a bound is given."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["server-errors"].alarm_actions == toset(["arn:aws:sns:eu-north-1:123456789012:alarms"])
    error_message = "The topic is told."
  }
}

run "latency_alarm" {
  command = plan

  variables {
    alarms = { server_errors = 0, latency_milliseconds = 250 }
  }

  assert {
    condition     = { for key, alarm in aws_cloudwatch_metric_alarm.this : key => [alarm.metric_name, alarm.threshold, alarm.extended_statistic] } == { latency = ["Latency", 250, "p99"] }
    error_message = "The slowest 1 %."
  }
}

run "alarms_off" {
  command = plan

  variables {
    alarms = { enabled = false }
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.this) == 0
    error_message = "No alarms when they are switched off."
  }
}

run "callers_send_tokens" {
  command = plan

  variables {
    api = { name = "agents", authorization = "jwt", jwt = { issuer = "https://issuer.example.com/", audiences = ["agents"] } }
    systems = {
      agents    = { openapi = "tests/fixtures/agents.yaml", function_name = "agents", alias_name = "live", alias_invoke_arn = "arn", scopes = { read = ["agents.read", "agents.all"], write = ["agents.write"], "GET /agents/{id}" = ["agent.read"] } }
      questions = { openapi = "tests/fixtures/questions.yaml", function_name = "questions", alias_name = "live", alias_invoke_arn = "arn", scopes = { read = ["ask"], write = ["change"] } }
      pets      = { openapi = "tests/fixtures/pets.yaml", function_name = "pets", alias_name = "live", alias_invoke_arn = "arn" }
    }
  }

  assert {
    condition     = aws_apigatewayv2_authorizer.tokens["tokens"].authorizer_type == "JWT" && aws_apigatewayv2_authorizer.tokens["tokens"].identity_sources == toset(["$request.header.Authorization"]) && aws_apigatewayv2_authorizer.tokens["tokens"].jwt_configuration[0].issuer == "https://issuer.example.com/" && aws_apigatewayv2_authorizer.tokens["tokens"].jwt_configuration[0].audience == toset(["agents"])
    error_message = "The issuer's tokens, in the usual header."
  }

  assert {
    condition     = alltrue([for route in aws_apigatewayv2_route.this : route.authorization_type == "JWT"])
    error_message = "No route without a token."
  }

  assert {
    condition = jsonencode({ for key, route in aws_apigatewayv2_route.this : key => sort(route.authorization_scopes) }) == jsonencode({
      "GET /agents"       = ["agents.all", "agents.read"]
      "POST /agents"      = ["agents.write"]
      "ANY /agents"       = ["agents.all", "agents.read"]
      "GET /agents/{id}"  = ["agent.read"]
      "ANY /agents/{id}"  = ["agent.read"]
      "POST /questions"   = ["ask"]
      "DELETE /questions" = ["change"]
      "ANY /questions"    = ["ask", "change"]
      "GET /pets"         = []
      "ANY /pets"         = []
    })
    error_message = "Each route its scopes; what comes by ANY is answered like a GET: ${jsonencode({ for key, route in aws_apigatewayv2_route.this : key => route.authorization_scopes })}"
  }

  assert {
    condition     = jsonencode(output.scopes) == jsonencode({ "DELETE /questions" = ["change"], "GET /agents" = ["agents.all", "agents.read"], "GET /agents/{id}" = ["agent.read"], "GET /pets" = [], "POST /agents" = ["agents.write"], "POST /questions" = ["ask"] })
    error_message = "And they are told: ${jsonencode(output.scopes)}"
  }
}

run "no_tokens_no_scopes" {
  command = plan

  variables {
    systems = {
      agents = { openapi = "tests/fixtures/agents.yaml", function_name = "agents", alias_name = "live", alias_invoke_arn = "arn", scopes = { read = ["agents.read"] } }
    }
  }

  assert {
    condition     = length(aws_apigatewayv2_authorizer.tokens) == 0 && output.scopes == {} && alltrue([for route in aws_apigatewayv2_route.this : route.authorization_scopes == null])
    error_message = "Signed requests have no scopes."
  }
}
