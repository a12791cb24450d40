variable "api" {
  description = <<-EOT
    The HTTP API.

    - `name`, `description`: its name, and what it is for.
    - `authorization`: `iam` (callers sign their requests and need `execute-api:Invoke`) or `none` (open to anybody).
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
    condition     = contains(["iam", "none"], var.api.authorization)
    error_message = "api.authorization is \"${var.api.authorization}\": use iam, or none for an API that anybody may call."
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
  EOT
  nullable    = false

  type = map(object({
    openapi          = string
    function_name    = string
    alias_name       = string
    alias_invoke_arn = string
  }))

  validation {
    condition     = length(var.systems) > 0
    error_message = "systems is empty: an API without routes answers every request with 404. Leave the whole module out instead."
  }

  validation {
    condition     = alltrue([for system in var.systems : can(keys(yamldecode(file(system.openapi)).paths))])
    error_message = "Each system needs an OpenAPI file with paths; missing or unreadable: ${join(", ", [for system in var.systems : system.openapi if !can(keys(yamldecode(file(system.openapi)).paths))])}."
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
