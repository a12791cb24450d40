output "id" {
  description = "Id of the API."
  value       = aws_apigatewayv2_api.this.id
}

output "url" {
  description = "Where the API answers, without a slash at the end."
  value       = trimsuffix(aws_apigatewayv2_stage.default.invoke_url, "/")
}

output "execution_arn" {
  description = "ARN prefix for permissions to call the API (`execute-api:Invoke`) and for what it may call."
  value       = aws_apigatewayv2_api.this.execution_arn
}

output "routes" {
  description = "Route keys of the contracts by system, for example `GET /agents/{id}`; the ANY routes beside them are not among these."
  value       = local.routes_by_system
}

output "scopes" {
  description = "Scopes of which a token must have one, by route key; empty unless callers send tokens."
  value       = { for route, scopes in local.scopes_by_contract_route : route => sort(scopes) if var.api.authorization == "jwt" }
}

output "access_log_group_name" {
  description = "Name of the log group of the access logs."
  value       = aws_cloudwatch_log_group.access.name
}

output "alarm_arns" {
  description = "ARNs of the alarms by key."
  value       = { for key, alarm in aws_cloudwatch_metric_alarm.this : key => alarm.arn }
}
