variable "key" {
  description = <<-EOT
    The key, and who may do what with it.

    - `alias`: its name, without `alias/`.
    - `description`: what it encrypts.
    - `rotation_days`: how often AWS makes new key material, 90 to 2560; what older material encrypted stays readable.
    - `deletion_window_days`: how long a deletion can be taken back, 7 to 30. Afterwards all that the key encrypted is
      lost for good: tables, their indexes, backups.
    - `multi_region`: whether replicas of the key can be made in other regions. It can't be changed: another value makes
      another key.
    - `administrator_arns`: users and roles that may change the key and its policy, none of which may use it. They must
      exist, and whoever applies must be among them: KMS refuses a key that nobody could change. Empty leaves it to the
      IAM policies of the account.
    - `user_arns`: who may use the key, through DynamoDB only: users and roles of this account, `*` allowed as part of an
      ARN. Whoever makes tables must be among them. Empty lets in whoever DynamoDB lets in, as with the account's
      `aws/dynamodb` key.
    - `tags`: tags of the key.
  EOT
  nullable    = false

  type = object({
    alias                = string
    description          = optional(string, "Encrypts DynamoDB tables")
    rotation_days        = optional(number, 365)
    deletion_window_days = optional(number, 30)
    multi_region         = optional(bool, false)
    administrator_arns   = optional(set(string), [])
    user_arns            = optional(set(string), [])
    tags                 = optional(map(string), {})
  })

  validation {
    condition     = can(regex("^[a-zA-Z0-9/_-]{1,250}$", var.key.alias)) && !startswith(var.key.alias, "aws/") && !startswith(var.key.alias, "alias/")
    error_message = "key.alias is \"${var.key.alias}\": KMS takes 1 to 250 letters, digits, '/', '_' and '-', keeps names that begin with aws/ to itself, and alias/ is put before it here."
  }

  validation {
    condition     = var.key.rotation_days >= 90 && var.key.rotation_days <= 2560 && floor(var.key.rotation_days) == var.key.rotation_days
    error_message = "key.rotation_days is ${var.key.rotation_days}: KMS rotates every 90 to 2560 whole days."
  }

  validation {
    condition     = var.key.deletion_window_days >= 7 && var.key.deletion_window_days <= 30 && floor(var.key.deletion_window_days) == var.key.deletion_window_days
    error_message = "key.deletion_window_days is ${var.key.deletion_window_days}: KMS waits 7 to 30 whole days before it deletes a key."
  }

  validation {
    condition     = alltrue([for arn in var.key.administrator_arns : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:(role|user)/[^*]+$", arn))])
    error_message = "key.administrator_arns are ARNs of users and roles (arn:…:iam::<account>:role/<name>), not of sessions, and without wildcards; KMS refuses the policy otherwise. Given: ${join(", ", var.key.administrator_arns)}."
  }

  validation {
    condition     = alltrue([for arn in var.key.user_arns : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:(role|user)/.+$", arn))])
    error_message = "key.user_arns are ARNs of users and roles (arn:…:iam::<account>:role/<name>), not of sessions: a session's requests carry its role's ARN, so nobody would be let in. Given: ${join(", ", var.key.user_arns)}."
  }
}
