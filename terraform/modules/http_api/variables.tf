variable "api" {
  description = <<-EOT
    The HTTP API.

    - `name`, `description`: its name, and what it is for.
    - `authorization`: `iam` (callers sign their requests and need `execute-api:Invoke`), `jwt` (callers send a token) or
      `none` (open to anybody).
    - `jwt`: with `jwt`, whose tokens: the `issuer`'s URL, under which it publishes its keys
      (`/.well-known/openid-configuration`), and the `audiences`, one of which a token must be for (`aud`, or
      `client_id` where there is no `aud`).
    - `throttling`: requests a second (`rate_limit`) and burst over all routes; beyond, callers get 429.
    - `integration_timeout_milliseconds`: how long a function may take to answer, 50 to 30000.
    - `detailed_metrics`: metrics by route (they cost).
    - `log_retention_days`, `log_kms_key_arn`: of the access logs.
    - `tags`: tags of everything.
  EOT
  nullable    = false

  type = object({
    name                             = string
    description                      = optional(string, "")
    authorization                    = optional(string, "iam")
    jwt                              = optional(object({ issuer = string, audiences = set(string) }))
    throttling                       = optional(object({ burst_limit = optional(number, 200), rate_limit = optional(number, 100) }), {})
    integration_timeout_milliseconds = optional(number, 30000)
    detailed_metrics                 = optional(bool, false)
    log_retention_days               = optional(number, 30)
    log_kms_key_arn                  = optional(string)
    tags                             = optional(map(string), {})
  })

  validation {
    condition     = can(regex("^.{1,128}$", var.api.name))
    error_message = "api.name is \"${var.api.name}\": API Gateway takes 1 to 128 characters."
  }

  validation {
    condition     = contains(["iam", "jwt", "none"], var.api.authorization)
    error_message = "api.authorization is \"${var.api.authorization}\": use iam, jwt, or none for an API that anybody may call."
  }

  validation {
    condition     = (var.api.authorization == "jwt") == (var.api.jwt != null)
    error_message = "api.jwt says whose tokens are good, and goes with authorization \"jwt\" only: without it API Gateway could judge no token, and beside \"${var.api.authorization}\" it would do nothing."
  }

  validation {
    condition     = var.api.jwt == null || try(can(regex("^https?://[^/?#@ ]+(/[^?# ]*)?$", var.api.jwt.issuer)) && !strcontains(var.api.jwt.issuer, "/.well-known/"), false)
    error_message = "api.jwt.issuer is \"${try(var.api.jwt.issuer, "null")}\": give the URL that tokens name as their iss, without /.well-known/…; API Gateway looks for the issuer's keys under it, and would make no authorizer."
  }

  validation {
    condition     = var.api.jwt == null || try(length(var.api.jwt.audiences) >= 1 && length(var.api.jwt.audiences) <= 50, false)
    error_message = "api.jwt.audiences: API Gateway takes 1 to 50. Without one, tokens that were meant for any other API would open this one."
  }

  validation {
    condition     = var.api.throttling.burst_limit >= 1 && var.api.throttling.rate_limit >= 1
    error_message = "api.throttling has burst_limit ${var.api.throttling.burst_limit} and rate_limit ${var.api.throttling.rate_limit}: below 1 API Gateway would answer every request with 429."
  }

  validation {
    condition     = var.api.integration_timeout_milliseconds >= 50 && var.api.integration_timeout_milliseconds <= 30000
    error_message = "api.integration_timeout_milliseconds is ${var.api.integration_timeout_milliseconds}: API Gateway waits 50 to 30000 ms for a function and refuses anything else."
  }

  validation {
    condition     = contains([0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.api.log_retention_days)
    error_message = "api.log_retention_days is ${var.api.log_retention_days}: CloudWatch Logs keeps 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653 days (0 for ever) and refuses others."
  }
}

variable "systems" {
  description = <<-EOT
    What answers, by system: the OpenAPI file that names the routes (`openapi`), and the function's `function_name`,
    `alias_name` and `alias_invoke_arn`.

    `scopes` are those of which a token must have one, with authorization `jwt`: by `read` and `write`, or by a route
    (`POST /match`), which goes before. A GET is a read, all else is a write, unless the operation's `x-access` in the
    OpenAPI file says otherwise. What has no scopes is open to every good token.
  EOT
  nullable    = false

  type = map(object({
    openapi          = string
    function_name    = string
    alias_name       = string
    alias_invoke_arn = string
    scopes           = optional(map(set(string)), {})
  }))

  validation {
    condition     = length(var.systems) > 0
    error_message = "systems is empty: an API without routes answers every request with 404. Leave the whole module out instead."
  }

  validation {
    condition     = alltrue([for system in var.systems : can(keys(yamldecode(file(system.openapi)).paths))])
    error_message = "Each system needs an OpenAPI file with paths; missing or unreadable: ${join(", ", [for system in var.systems : system.openapi if !can(keys(yamldecode(file(system.openapi)).paths))])}."
  }

  validation {
    condition     = alltrue(flatten([for system in var.systems : [for key in keys(system.scopes) : contains(["read", "write"], key) || try(contains(keys(yamldecode(file(system.openapi)).paths[split(" ", key)[1]]), lower(split(" ", key)[0])), false)]]))
    error_message = "systems: scopes are those of read, write, or a route of the system's OpenAPI file, and nothing would ask for: ${join(", ", flatten([for name, system in var.systems : [for key in keys(system.scopes) : "${name} ${key}" if !(contains(["read", "write"], key) || try(contains(keys(yamldecode(file(system.openapi)).paths[split(" ", key)[1]]), lower(split(" ", key)[0])), false))]]))}."
  }

  validation {
    condition     = alltrue(flatten([for system in var.systems : [for scopes in system.scopes : length(scopes) <= 10 && alltrue([for scope in scopes : can(regex("^[\\x21\\x23-\\x5b\\x5d-\\x7e]{1,256}$", scope))])]]))
    error_message = "systems: API Gateway takes up to 10 scopes a route, and a scope has no blanks, quotes or backslashes: a token's scopes are separated by blanks, so it would never be found. Given: ${join(", ", flatten([for system in var.systems : [for scopes in system.scopes : [for scope in scopes : "\"${scope}\""]]]))}."
  }
}

variable "alarms" {
  description = <<-EOT
    Alarms of the API; 0 leaves one out.

    - `enabled`: false makes none.
    - `actions`, `ok_actions`: ARNs told when an alarm goes off and when it is over.
    - `period_seconds`: length of a period.
    - `server_errors`: answers with status 5xx in a period.
    - `latency_milliseconds`: the slowest 1 % of requests take longer than this.
  EOT
  nullable    = false
  default     = {}

  type = object({
    enabled              = optional(bool, true)
    actions              = optional(set(string), [])
    ok_actions           = optional(set(string), [])
    period_seconds       = optional(number, 300)
    server_errors        = optional(number, 1)
    latency_milliseconds = optional(number, 0)
  })

  validation {
    condition     = contains([60, 300, 900, 3600], var.alarms.period_seconds)
    error_message = "alarms.period_seconds is ${var.alarms.period_seconds}: use 60, 300, 900 or 3600; API Gateway reports once a minute, and CloudWatch refuses an alarm on anything finer."
  }

  validation {
    condition     = var.alarms.server_errors >= 0 && var.alarms.latency_milliseconds >= 0
    error_message = "An alarm threshold can't be negative: the alarm would never be over. Use 0 to leave an alarm out."
  }
}
