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
