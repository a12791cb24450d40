# Where

variable "environment" {
  description = "Name of the environment, part of every name that this stack makes up."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,30}$", var.environment))
    error_message = "environment is \"${var.environment}\": use 1 to 31 lower-case letters, digits and '-', beginning with a letter; it becomes part of names that AWS limits to these."
  }
}

variable "aws_region" {
  description = "Region of the whole stack, for example eu-north-1."
  type        = string
  nullable    = false
  default     = "us-east-1"

  validation {
    condition     = can(regex("^[a-z]{2,}(-[a-z]+)+-[0-9]$", var.aws_region))
    error_message = "aws_region is \"${var.aws_region}\": give a region's code such as eu-north-1; no AWS endpoint would be found."
  }
}

variable "aws_account_id" {
  description = "The only account that this environment may be applied to; null for whichever the credentials belong to."
  type        = string
  default     = null

  validation {
    condition     = var.aws_account_id == null || can(regex("^[0-9]{12}$", var.aws_account_id))
    error_message = "aws_account_id is \"${coalesce(var.aws_account_id, "null")}\": an account has 12 digits; the provider would refuse every account."
  }
}

variable "name_prefix" {
  description = "First part of every name that this stack makes up (functions, roles, API, topic). Another prefix makes a second stack in the same account."
  type        = string
  nullable    = false
  default     = "agent-state"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*$", var.name_prefix)) && length("${var.name_prefix}-${var.environment}-agent-registry") <= 64
    error_message = "name_prefix is \"${var.name_prefix}\": use lower-case letters, digits and '-', beginning with a letter, and together with environment \"${var.environment}\" at most 48 characters; Lambda and IAM refuse names over 64."
  }
}

variable "tags" {
  description = "Tags of everything, beside Project, Environment and ManagedBy."
  type        = map(string)
  nullable    = false
  default     = {}

  validation {
    condition     = alltrue([for key, value in var.tags : length(key) >= 1 && length(key) <= 128 && length(value) <= 256 && !startswith(lower(key), "aws:")]) && length(var.tags) <= 40
    error_message = "tags: at most 40, keys of 1 to 128 characters that don't begin with aws:, values up to 256; AWS refuses others. Given: ${join(", ", keys(var.tags))}."
  }
}

# What

variable "systems" {
  description = "The systems to run. One that is left out creates nothing (and what it had is destroyed)."
  type        = set(string)
  nullable    = false
  default     = ["agent_registry"]

  validation {
    condition     = var.systems != null && length(setsubtract(var.systems, local.known_systems)) == 0
    error_message = "systems: there is no ${join(", ", setsubtract(var.systems, local.known_systems))}. Use some of: ${join(", ", local.known_systems)}."
  }
}

variable "persistence" {
  description = "Where a system keeps its state, by system: `dynamodb` (default) or `memory`, the old behaviour as a way back. The tables and their data stay either way."
  type        = map(string)
  nullable    = false
  default     = {}

  validation {
    condition     = var.persistence != null && length(setsubtract(keys(var.persistence), local.known_systems)) == 0
    error_message = "persistence: there is no system ${join(", ", setsubtract(keys(var.persistence), local.known_systems))}. Use some of: ${join(", ", local.known_systems)}."
  }

  validation {
    condition     = alltrue([for mode in values(var.persistence) : contains(["dynamodb", "memory"], mode)])
    error_message = "persistence is dynamodb or memory, not: ${join(", ", [for system, mode in var.persistence : "${system} = ${mode}" if !contains(["dynamodb", "memory"], mode)])}. The function would refuse to start."
  }
}

variable "agent_registry" {
  description = <<-EOT
    The agent registry.

    - `table_name`: its table.
    - `attach_access_to_roles`: names of existing IAM roles outside this stack that get access to the table.
    - `attached_access`: which: `read`, `write` (read included) or `admin`; the documents are in the output `systems`.
    - `function`: settings of `function_defaults` that differ for this function.
  EOT
  nullable    = false
  default     = {}

  type = object({
    table_name             = optional(string, "AgentRegistry")
    attach_access_to_roles = optional(set(string), [])
    attached_access        = optional(string, "write")
    function = optional(object({
      memory_megabytes        = optional(number)
      timeout_seconds         = optional(number)
      architecture            = optional(string)
      reserved_concurrency    = optional(number)
      provisioned_concurrency = optional(number)
      snap_start              = optional(bool)
      tracing                 = optional(bool)
      dead_letter_arn         = optional(string)
    }), {})
  })

  validation {
    condition     = can(regex("^[a-zA-Z0-9_.-]{3,255}$", var.agent_registry.table_name))
    error_message = "agent_registry.table_name is \"${var.agent_registry.table_name}\": DynamoDB takes 3 to 255 letters, digits, '_', '.' and '-', and refuses the table otherwise."
  }

  validation {
    condition     = alltrue([for role in var.agent_registry.attach_access_to_roles : can(regex("^[a-zA-Z0-9+=,.@_-]{1,64}$", role))])
    error_message = "agent_registry.attach_access_to_roles takes names of roles, not ARNs or paths; IAM would find no role: ${join(", ", [for role in var.agent_registry.attach_access_to_roles : "\"${role}\"" if !can(regex("^[a-zA-Z0-9+=,.@_-]{1,64}$", role))])}."
  }

  validation {
    condition     = coalesce(var.agent_registry.function.timeout_seconds, 1) <= 29
    error_message = "agent_registry.function.timeout_seconds is ${coalesce(var.agent_registry.function.timeout_seconds, 1)}: use 1 to 29; API Gateway gives up after 30 s, and the function would work on for nobody."
  }

  validation {
    condition     = contains(["read", "write", "admin"], var.agent_registry.attached_access)
    error_message = "agent_registry.attached_access is \"${var.agent_registry.attached_access}\": use read, write or admin."
  }
}

variable "idempotency" {
  description = <<-EOT
    The table of idempotency markers, one for all systems.

    - `table_name`: its name; null for `<name_prefix>-<environment>-idempotency`.
    - `ttl_seconds`: how long a retry with the same Idempotency-Key gets the first answer; 60 to 2592000 (30 days).
  EOT
  nullable    = false
  default     = {}

  type = object({
    table_name  = optional(string)
    ttl_seconds = optional(number, 86400)
  })

  validation {
    condition     = var.idempotency.table_name == null || can(regex("^[a-zA-Z0-9_.-]{3,255}$", var.idempotency.table_name))
    error_message = "idempotency.table_name is \"${coalesce(var.idempotency.table_name, "null")}\": DynamoDB takes 3 to 255 letters, digits, '_', '.' and '-', and refuses the table otherwise."
  }

  validation {
    condition     = var.idempotency.table_name != var.agent_registry.table_name
    error_message = "idempotency.table_name and agent_registry.table_name are both \"${coalesce(var.idempotency.table_name, "null")}\": DynamoDB has one table of a name, and would refuse the second."
  }

  validation {
    condition     = var.idempotency.ttl_seconds >= 60 && var.idempotency.ttl_seconds <= 2592000 && floor(var.idempotency.ttl_seconds) == var.idempotency.ttl_seconds
    error_message = "idempotency.ttl_seconds is ${var.idempotency.ttl_seconds}: give 60 to 2592000 whole seconds. Shorter than a client's retries it protects nothing; longer only fills the table."
  }
}

# Tables

variable "enable_pitr" {
  description = "Point-in-time recovery of the tables."
  type        = bool
  nullable    = false
  default     = true
}

variable "point_in_time_recovery_days" {
  description = "How many days back the tables can be restored, 1 to 35. The price does not depend on it."
  type        = number
  nullable    = false
  default     = 35

  validation {
    condition     = var.point_in_time_recovery_days >= 1 && var.point_in_time_recovery_days <= 35 && floor(var.point_in_time_recovery_days) == var.point_in_time_recovery_days
    error_message = "point_in_time_recovery_days is ${var.point_in_time_recovery_days}: DynamoDB keeps 1 to 35 whole days and refuses any other window. To do without, set enable_pitr = false."
  }
}

variable "deletion_protection" {
  description = "DynamoDB refuses to delete the tables, whoever asks. Take it off and apply before a destroy."
  type        = bool
  nullable    = false
  default     = true
}

variable "table_encryption" {
  description = <<-EOT
    Encryption at rest of all tables.

    - `type`: `AWS_OWNED` (free), `AWS_MANAGED` (the account's `aws/dynamodb` key) or `CUSTOMER_MANAGED`.
    - `kms_key_arn`: the key, with `CUSTOMER_MANAGED`.
  EOT
  nullable    = false
  default     = {}

  type = object({
    type        = optional(string, "AWS_OWNED")
    kms_key_arn = optional(string)
  })

  validation {
    condition     = contains(["AWS_OWNED", "AWS_MANAGED", "CUSTOMER_MANAGED"], var.table_encryption.type)
    error_message = "table_encryption.type is \"${var.table_encryption.type}\": use AWS_OWNED, AWS_MANAGED or CUSTOMER_MANAGED."
  }

  validation {
    condition     = (var.table_encryption.type == "CUSTOMER_MANAGED") == can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.table_encryption.kms_key_arn))
    error_message = "table_encryption: CUSTOMER_MANAGED needs kms_key_arn (arn:…:kms:<region>:<account>:key/<id>), the other types take none. Given: ${var.table_encryption.type} with ${coalesce(var.table_encryption.kms_key_arn, "null")}; DynamoDB would encrypt with another key than you expect."
  }
}

# Functions

variable "lambda_manifest" {
  description = "The manifest that `make build` writes beside the zips: an absolute path, or one relative to this module."
  type        = string
  nullable    = false
  default     = "../.build/lambdas/manifest.json"

  validation {
    condition     = can(jsondecode(file(startswith(var.lambda_manifest, "/") ? var.lambda_manifest : "${path.module}/${var.lambda_manifest}")).functions)
    error_message = "lambda_manifest: there is no manifest of built functions at ${var.lambda_manifest}. Run `make build`."
  }

  validation {
    condition     = length(setsubtract(var.systems, try(keys(jsondecode(file(startswith(var.lambda_manifest, "/") ? var.lambda_manifest : "${path.module}/${var.lambda_manifest}")).functions), var.systems))) == 0
    error_message = "lambda_manifest: ${var.lambda_manifest} names no function for ${join(", ", setsubtract(var.systems, try(keys(jsondecode(file(startswith(var.lambda_manifest, "/") ? var.lambda_manifest : "${path.module}/${var.lambda_manifest}")).functions), [])))}. Run `make build`."
  }
}

variable "function_defaults" {
  description = <<-EOT
    How functions run, unless a system says otherwise.

    - `memory_megabytes`: 128 to 10240; CPU grows with it. `timeout_seconds`: 1 to 29, since the API waits no longer.
    - `architecture`: `arm64` or `x86_64`; the zips hold only Python and run on both.
    - `log_level`: `DEBUG`, `INFO`, `WARNING` or `ERROR`. `log_retention_days`, `log_kms_key_arn`: of all log groups.
    - `snap_start`: start from a snapshot. `tracing`: X-Ray. `json_logging`: Lambda's own JSON log format and its
      levels, null for text.
    - `reserved_concurrency`: ceiling of each function; null for the account's pool.
    - `vpc`: subnets and security groups to run in; DynamoDB needs a gateway endpoint there.
    - `environment_kms_key_arn`, `code_signing_config_arn`, `role_path`, `permissions_boundary_arn`: as their names say.
  EOT
  nullable    = false
  default     = {}

  type = object({
    memory_megabytes         = optional(number, 512)
    timeout_seconds          = optional(number, 10)
    architecture             = optional(string, "arm64")
    log_level                = optional(string, "INFO")
    log_retention_days       = optional(number, 30)
    log_kms_key_arn          = optional(string)
    snap_start               = optional(bool, false)
    tracing                  = optional(bool, false)
    json_logging             = optional(object({ application_level = optional(string, "INFO"), system_level = optional(string, "INFO") }))
    reserved_concurrency     = optional(number)
    vpc                      = optional(object({ subnet_ids = set(string), security_group_ids = set(string) }))
    environment_kms_key_arn  = optional(string)
    code_signing_config_arn  = optional(string)
    role_path                = optional(string, "/")
    permissions_boundary_arn = optional(string)
  })

  validation {
    condition     = var.function_defaults.memory_megabytes >= 128 && var.function_defaults.memory_megabytes <= 10240
    error_message = "function_defaults.memory_megabytes is ${var.function_defaults.memory_megabytes}: Lambda gives 128 to 10240 megabytes and refuses anything else."
  }

  validation {
    condition     = contains(["arm64", "x86_64"], var.function_defaults.architecture)
    error_message = "function_defaults.architecture is \"${var.function_defaults.architecture}\": Lambda runs arm64 and x86_64."
  }

  validation {
    condition     = var.function_defaults.timeout_seconds >= 1 && var.function_defaults.timeout_seconds <= 29
    error_message = "function_defaults.timeout_seconds is ${var.function_defaults.timeout_seconds}: use 1 to 29; API Gateway gives up after 30 s, and the function would work on for nobody."
  }

  validation {
    condition     = contains(["DEBUG", "INFO", "WARNING", "ERROR"], var.function_defaults.log_level)
    error_message = "function_defaults.log_level is \"${var.function_defaults.log_level}\": the functions know DEBUG, INFO, WARNING and ERROR."
  }
}

# API

variable "api_auth" {
  description = "Who may call the API: `iam` (signed requests of principals that have execute-api:Invoke) or `none` (anybody; in environment local only)."
  type        = string
  nullable    = false
  default     = "iam"

  validation {
    condition     = contains(["iam", "none"], var.api_auth)
    error_message = "api_auth is \"${var.api_auth}\": use iam or none."
  }

  validation {
    condition     = var.api_auth != "none" || var.environment == "local"
    error_message = "api_auth is none in environment \"${var.environment}\": API Gateway would let anybody on the internet read and write the agents' state. none is for environment local; use iam."
  }
}

variable "api_throttling" {
  description = "Requests a second (`rate_limit`) and burst (`burst_limit`) over all routes; beyond, callers get 429."
  nullable    = false
  default     = {}

  type = object({
    burst_limit = optional(number, 200)
    rate_limit  = optional(number, 100)
  })

  validation {
    condition     = var.api_throttling.burst_limit >= 1 && var.api_throttling.rate_limit >= 1 && var.api_throttling.burst_limit <= 5000 && var.api_throttling.rate_limit <= 10000
    error_message = "api_throttling has burst_limit ${var.api_throttling.burst_limit} (1 to 5000) and rate_limit ${var.api_throttling.rate_limit} (1 to 10000): below, API Gateway would answer every request with 429; above, the account's own quota decides."
  }
}

# Watching

variable "alarms" {
  description = <<-EOT
    Alarms. Each number is a threshold; 0 leaves that alarm out.

    - `enabled`: false makes none. `period_seconds`: length of a period.
    - `topic_arn`: an SNS topic that exists; null to make one, encrypted with `topic_kms_key_arn` if given.
    - `subscribers`: who is told, by a name of your choice: `protocol` (`email` by default, `https`, `sqs`, …) and
      `endpoint`. E-mail addresses have to confirm.
    - `notify_recovery`: tell also when it is over.
    - `user_errors`: requests in a period that DynamoDB finds invalid, in the whole account and region.
    - `tables`: `read_throttle_events`, `write_throttle_events`, `system_errors`, `conditional_check_failures`.
    - `functions`: `errors`, `throttles`, `duration_percent` (of the timeout), `concurrency_percent` (of what is
      reserved), `concurrent_executions` (where nothing is; 800 is 80 % of an account's first quota), `dead_letter_errors`, `provisioned_spillover`.
    - `api`: `server_errors`, `latency_milliseconds`.
  EOT
  nullable    = false
  default     = {}

  type = object({
    enabled           = optional(bool, true)
    period_seconds    = optional(number, 300)
    topic_arn         = optional(string)
    topic_kms_key_arn = optional(string)
    subscribers       = optional(map(object({ protocol = optional(string, "email"), endpoint = string })), {})
    notify_recovery   = optional(bool, true)
    user_errors       = optional(number, 10)
    tables = optional(object({
      read_throttle_events       = optional(number, 1)
      write_throttle_events      = optional(number, 1)
      system_errors              = optional(number, 1)
      conditional_check_failures = optional(number, 0)
    }), {})
    functions = optional(object({
      errors                = optional(number, 1)
      throttles             = optional(number, 1)
      duration_percent      = optional(number, 80)
      concurrency_percent   = optional(number, 80)
      concurrent_executions = optional(number, 800)
      dead_letter_errors    = optional(number, 1)
      provisioned_spillover = optional(number, 1)
    }), {})
    api = optional(object({
      server_errors        = optional(number, 1)
      latency_milliseconds = optional(number, 0)
    }), {})
  })

  validation {
    condition     = contains([60, 300, 900, 3600], var.alarms.period_seconds)
    error_message = "alarms.period_seconds is ${var.alarms.period_seconds}: use 60, 300, 900 or 3600; the services report once a minute, and CloudWatch refuses an alarm on anything finer."
  }

  validation {
    condition     = var.alarms.topic_arn == null || can(regex("^arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:[a-zA-Z0-9_-]+$", var.alarms.topic_arn))
    error_message = "alarms.topic_arn is \"${coalesce(var.alarms.topic_arn, "null")}\": give the ARN of a standard SNS topic; CloudWatch can't tell a FIFO topic."
  }

  validation {
    condition     = var.alarms.topic_arn == null || var.alarms.topic_kms_key_arn == null
    error_message = "alarms.topic_kms_key_arn encrypts the topic that this stack makes, and with alarms.topic_arn it makes none. Remove one of the two."
  }

  validation {
    condition     = alltrue([for subscriber in var.alarms.subscribers : contains(["email", "email-json", "https", "lambda", "sms", "sqs"], subscriber.protocol)])
    error_message = "alarms.subscribers: protocol is email, email-json, https, lambda, sms or sqs; SNS refuses: ${join(", ", [for name, subscriber in var.alarms.subscribers : "${name} = ${subscriber.protocol}" if !contains(["email", "email-json", "https", "lambda", "sms", "sqs"], subscriber.protocol)])}."
  }

  validation {
    condition     = var.alarms.user_errors >= 0
    error_message = "alarms.user_errors is ${var.alarms.user_errors}: a threshold can't be negative, the alarm would never be over. Use 0 to leave it out."
  }
}

variable "enable_dashboard" {
  description = "A CloudWatch dashboard of API, functions and tables (the first three of an account are free)."
  type        = bool
  nullable    = false
  default     = true
}

variable "budgets" {
  description = <<-EOT
    What verification holds against what it measures; exceeding one fails it.

    - `cold_start_milliseconds`: init of a new execution environment and its first answer.
    - `query_milliseconds`: 95th percentile of warm queries.
  EOT
  nullable    = false
  default     = {}

  type = object({
    cold_start_milliseconds = optional(number, 500)
    query_milliseconds      = optional(number, 50)
  })

  validation {
    condition     = var.budgets.cold_start_milliseconds > 0 && var.budgets.query_milliseconds > 0
    error_message = "budgets are ${var.budgets.cold_start_milliseconds} and ${var.budgets.query_milliseconds} ms: nothing answers in no time, so verification would always fail."
  }
}
