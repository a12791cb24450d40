output "id" {
  description = "Id of the pool."
  value       = aws_cognito_user_pool.this.id
}

output "arn" {
  description = "ARN of the pool."
  value       = aws_cognito_user_pool.this.arn
}

output "issuer" {
  description = "What tokens name as their issuer."
  value       = "https://${aws_cognito_user_pool.this.endpoint}"
}

output "client_id" {
  description = "Id of the client that callers sign in by; no secret."
  value       = aws_cognito_user_pool_client.callers.id
}

output "scope_prefix" {
  description = "What stands before a scope's name in a token."
  value       = "${var.pool.name}/"
}
