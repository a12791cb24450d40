variable "aws_region" {
  description = "Region of the state bucket."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{2,}(-[a-z]+)+-[0-9]$", var.aws_region))
    error_message = "aws_region is \"${var.aws_region}\": give a region's code such as eu-north-1; no AWS endpoint would be found."
  }
}

variable "aws_account_id" {
  description = "The only account that this may be applied to; null for whichever the credentials belong to."
  type        = string
  default     = null

  validation {
    condition     = var.aws_account_id == null || can(regex("^[0-9]{12}$", var.aws_account_id))
    error_message = "aws_account_id is \"${coalesce(var.aws_account_id, "null")}\": an account has 12 digits; the provider would refuse every account."
  }
}

variable "state_bucket_name" {
  description = "Name of the bucket that holds the state of every environment. It must exist, bare: this root takes it over."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.state_bucket_name))
    error_message = "state_bucket_name is \"${var.state_bucket_name}\": use 3 to 63 lower-case letters, digits and '-' (a dot breaks TLS); S3 would refuse the bucket, or clients its certificate."
  }
}

variable "old_state_days" {
  description = "How many days replaced versions of a state are kept, so that one can be brought back: at least 7, or 0 for ever."
  type        = number
  nullable    = false
  default     = 90

  validation {
    condition     = (var.old_state_days == 0 || var.old_state_days >= 7) && floor(var.old_state_days) == var.old_state_days
    error_message = "old_state_days is ${var.old_state_days}: keep replaced states for at least 7 whole days (0 keeps them for ever); S3 deletes them for good afterwards."
  }
}

variable "require_tls" {
  description = "S3 refuses every request that does not come over TLS. Only an S3 that speaks plain HTTP, on this machine, does without."
  type        = bool
  nullable    = false
  default     = true
}

variable "tags" {
  description = "Tags of the bucket, beside Purpose and ManagedBy."
  type        = map(string)
  nullable    = false
  default     = {}
}

variable "github" {
  description = <<-EOT
    Roles for workflows on GitHub: for each environment one that plans and one that applies; null for none. Rendered from
    the environments' files.

    - `repository`, `branch`: whose workflows; the branch that is applied.
    - `oidc_provider_arn`: the account's provider for GitHub, where it has one already; null to make it.
    - `environments`: by name, what the roles may touch: `name_prefix`; `table_names`, with the regions of their replicas
      (`replica_regions`); `parameter_path` (SSM, "" for none); `role_path` of the stack's own roles; `backup_name`;
      `outside_roles` that are given access to tables; `user_pool`, whether it has one; `state_key` in the state bucket.
  EOT
  default     = null

  type = object({
    repository        = string
    branch            = optional(string, "main")
    oidc_provider_arn = optional(string)
    environments = map(object({
      name_prefix     = string
      table_names     = set(string)
      replica_regions = optional(set(string), [])
      parameter_path  = string
      role_path       = optional(string, "/")
      backup_name     = string
      outside_roles   = optional(set(string), [])
      user_pool       = optional(bool, false)
      state_key       = string
    }))
  })

  validation {
    condition     = var.github == null || can(regex("^[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}$", var.github.repository))
    error_message = "github.repository is \"${try(var.github.repository, "")}\": give owner/name as GitHub shows them; with a wildcard AWS would trust other repositories, too."
  }

  validation {
    condition     = var.github == null || can(regex("^[A-Za-z0-9._/-]{1,200}$", var.github.branch))
    error_message = "github.branch is \"${try(var.github.branch, "")}\": give one branch's name; AWS compares it letter by letter, and would trust nobody."
  }

  validation {
    condition     = try(var.github.oidc_provider_arn, null) == null || can(regex("^arn:[a-z-]+:iam::[0-9]{12}:oidc-provider/token\\.actions\\.githubusercontent\\.com$", var.github.oidc_provider_arn))
    error_message = "github.oidc_provider_arn is \"${try(coalesce(var.github.oidc_provider_arn), "")}\": give the ARN of the account's provider for token.actions.githubusercontent.com; IAM would trust another issuer's tokens, or none."
  }

  validation {
    condition     = alltrue([for name, stack in try(var.github.environments, {}) : length("github-apply-${stack.name_prefix}-${name}-${var.aws_region}") <= 64])
    error_message = "github.environments: IAM refuses names of roles over 64 characters, and this would be \"github-apply-<name_prefix>-<environment>-${var.aws_region}\": shorten one of the first two of ${join(", ", keys(try(var.github.environments, {})))}."
  }

  validation {
    condition     = alltrue([for stack in values(try(var.github.environments, {})) : can(regex("^[a-z][a-z0-9-]*$", stack.name_prefix)) && can(regex("^(/|/.+/)$", stack.role_path)) && alltrue([for text in concat([stack.parameter_path, stack.role_path, stack.backup_name, stack.state_key], tolist(stack.table_names), tolist(stack.outside_roles)) : !can(regex("[*?$]", text))])])
    error_message = "github.environments: names must be whole names, without '*', '?' and '$': in a policy those stand for other names, too; role_path begins and ends with '/'."
  }
}
