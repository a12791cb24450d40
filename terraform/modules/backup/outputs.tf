output "vault_name" {
  description = "Name of the vault."
  value       = aws_backup_vault.this.name
}

output "vault_arn" {
  description = "ARN of the vault, known in the plan."
  value       = local.vault_arn
  depends_on  = [aws_backup_vault.this]
}

output "plan_id" {
  description = "Id of the plan, which AWS gives."
  value       = aws_backup_plan.this.id
}

output "role_arn" {
  description = "ARN of the role that makes the backups."
  value       = aws_backup_selection.this.iam_role_arn
}

output "policy_document" {
  description = "What that role may do, as JSON, known in the plan; null with a role of your own."
  value       = one(aws_iam_role_policy.this[*].policy)
}
