output "arn" {
  description = "ARN of the key, which AWS gives: unknown in the plan that makes it."
  value       = aws_kms_key.this.arn
}

output "key_id" {
  description = "Id of the key."
  value       = aws_kms_key.this.key_id
}

output "alias_name" {
  description = "Name of its alias."
  value       = aws_kms_alias.this.name
}

output "policy" {
  description = "The key's policy as JSON, known in the plan."
  value       = aws_kms_key.this.policy
}
