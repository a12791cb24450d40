variable "pool" {
  description = <<-EOT
    The user pool.

    - `name`: its name, and the first part of every scope (`<name>/<scope>`).
    - `access_token_minutes`: how long a token is good, 5 to 1440; who has it keeps it so long, whatever happens.
    - `refresh_token_days`: how long a caller gets new tokens without the password, 1 to 3650.
    - `deletion_protection`: Cognito refuses to delete the pool, whoever asks.
    - `tags`: tags of the pool.
  EOT
  nullable    = false

  type = object({
    name                 = string
    access_token_minutes = optional(number, 60)
    refresh_token_days   = optional(number, 30)
    deletion_protection  = optional(bool, true)
    tags                 = optional(map(string), {})
  })

  validation {
    condition     = can(regex("^[a-zA-Z0-9_.-]{1,100}$", var.pool.name))
    error_message = "pool.name is \"${var.pool.name}\": use 1 to 100 letters, digits, '_', '.' and '-'; it becomes part of scopes, in which Cognito takes no blanks."
  }

  validation {
    condition     = var.pool.access_token_minutes >= 5 && var.pool.access_token_minutes <= 1440 && floor(var.pool.access_token_minutes) == var.pool.access_token_minutes
    error_message = "pool.access_token_minutes is ${var.pool.access_token_minutes}: Cognito's tokens are good for 5 to 1440 whole minutes."
  }

  validation {
    condition     = var.pool.refresh_token_days >= 1 && var.pool.refresh_token_days <= 3650 && floor(var.pool.refresh_token_days) == var.pool.refresh_token_days
    error_message = "pool.refresh_token_days is ${var.pool.refresh_token_days}: Cognito takes 1 to 3650 whole days."
  }
}

variable "scopes" {
  description = "What callers may be let do, with what is said of it, by name. Each is a scope of the API and a group of users."
  type        = map(string)
  nullable    = false

  validation {
    condition     = length(var.scopes) <= 100 && alltrue([for name in keys(var.scopes) : can(regex("^[a-zA-Z0-9_.-]{1,128}$", name))])
    error_message = "scopes: Cognito takes up to 100 of a resource server; use 1 to 128 letters, digits, '_', '.' and '-'. Given: ${join(", ", keys(var.scopes))}."
  }

  validation {
    condition     = alltrue([for description in values(var.scopes) : length(description) >= 1 && length(description) <= 256])
    error_message = "scopes: Cognito wants a description of 1 to 256 characters of each. Wrong: ${join(", ", [for name, description in var.scopes : name if length(description) < 1 || length(description) > 256])}."
  }
}

variable "token_function" {
  description = "The function that puts tenant and scopes into access tokens (Cognito's trigger before a token is made, version 2): `name`, `alias_name` and `alias_arn`."
  nullable    = false

  type = object({
    name       = string
    alias_name = string
    alias_arn  = string
  })
}

variable "sign_in_page" {
  description = <<-EOT
    Cognito's page to sign in at, for people with browsers; null for none.

    - `domain_prefix`: its address is `https://<domain_prefix>.auth.<region>.amazoncognito.com`; of all accounts in a
      region only one can have it.
    - `callback_urls`, `logout_urls`: where the page may send people back to.
  EOT
  default     = null

  type = object({
    domain_prefix = string
    callback_urls = set(string)
    logout_urls   = optional(set(string), [])
  })

  validation {
    condition     = var.sign_in_page == null || try(can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.sign_in_page.domain_prefix)) && !can(regex("aws|amazon|cognito", var.sign_in_page.domain_prefix)), false)
    error_message = "sign_in_page.domain_prefix is \"${try(var.sign_in_page.domain_prefix, "null")}\": use 1 to 63 lower-case letters, digits and '-', without aws, amazon and cognito, which Cognito keeps to itself."
  }

  validation {
    condition     = var.sign_in_page == null || try(length(var.sign_in_page.callback_urls) > 0 && alltrue([for url in setunion(var.sign_in_page.callback_urls, var.sign_in_page.logout_urls) : can(regex("^(https://|http://localhost[:/])[^#]*$", url))]), false)
    error_message = "sign_in_page: callback_urls (at least one) and logout_urls begin with https:// (http:// for localhost only) and have no fragment; Cognito refuses others. Given: ${try(join(", ", setunion(var.sign_in_page.callback_urls, var.sign_in_page.logout_urls)), "none")}."
  }
}
