variable "function" {
  description = <<-EOT
    The function and how it runs.

    - `name`, `description`: function name (also of its role and log group), and what it is for.
    - `runtime`, `architecture`: `python3.13` on `arm64` unless said otherwise.
    - `memory_megabytes`: 128 to 10240; CPU grows with it. `timeout_seconds`: 1 to 900.
    - `reserved_concurrency`: environments set aside and at the same time the ceiling; null for the account's pool,
      0 stops the function.
    - `environment`, `environment_kms_key_arn`: variables, and the key they are encrypted with (default: Lambda's own).
    - `alias`: the alias that callers use; it points to the version published last, or to `pinned_version`, an older
      one that callers were rolled back to.
    - `snap_start`: start from a snapshot taken at publication, with Python 3.12 or newer. Not together with provisioned
      concurrency.
    - `provisioned_concurrency`: environments kept ready on the alias; 0 for none.
    - `tracing`: X-Ray traces. `json_logging`: JSON log format with its levels; null for text. With a system level above
      `INFO` Lambda writes no REPORT lines.
    - `dead_letter_arn`: standard SQS queue or SNS topic for asynchronous invocations that failed.
    - `vpc`: subnets and security groups to run in. Without a NAT or endpoints it then reaches no AWS service.
    - `code_signing_config_arn`: refuse code that was not signed.
    - `log_retention_days`, `log_kms_key_arn`: of the log group.
    - `role_path`, `permissions_boundary_arn`: of the role.
    - `tags`: tags of everything.
  EOT
  nullable    = false

  type = object({
    name                     = string
    description              = optional(string, "")
    runtime                  = optional(string, "python3.13")
    architecture             = optional(string, "arm64")
    memory_megabytes         = optional(number, 512)
    timeout_seconds          = optional(number, 10)
    reserved_concurrency     = optional(number)
    environment              = optional(map(string), {})
    environment_kms_key_arn  = optional(string)
    alias                    = optional(string, "live")
    pinned_version           = optional(string)
    snap_start               = optional(bool, false)
    provisioned_concurrency  = optional(number, 0)
    tracing                  = optional(bool, false)
    json_logging             = optional(object({ application_level = optional(string, "INFO"), system_level = optional(string, "INFO") }))
    dead_letter_arn          = optional(string)
    vpc                      = optional(object({ subnet_ids = set(string), security_group_ids = set(string) }))
    code_signing_config_arn  = optional(string)
    log_retention_days       = optional(number, 30)
    log_kms_key_arn          = optional(string)
    role_path                = optional(string, "/")
    permissions_boundary_arn = optional(string)
    tags                     = optional(map(string), {})
  })

  validation {
    condition     = can(regex("^[a-zA-Z0-9_-]{1,64}$", var.function.name))
    error_message = "function.name is \"${var.function.name}\": Lambda takes 1 to 64 letters, digits, '-' and '_', and refuses the function otherwise."
  }

  validation {
    condition     = var.function.reserved_concurrency == null || try(var.function.reserved_concurrency >= 0 && floor(var.function.reserved_concurrency) == var.function.reserved_concurrency, false)
    error_message = "function.reserved_concurrency is ${coalesce(var.function.reserved_concurrency, -1)}: give a whole number from 0 (the function is stopped), or null for the account's shared pool."
  }

  validation {
    condition     = alltrue([for name in keys(var.function.environment) : can(regex("^[a-zA-Z][a-zA-Z0-9_]+$", name)) && !startswith(name, "AWS_LAMBDA_") && !contains(["AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR", "_HANDLER"], name)])
    error_message = "function.environment: a name starts with a letter, goes on with letters, digits and '_', and isn't one that Lambda sets itself (AWS_REGION, AWS_LAMBDA_…); Lambda refuses the function otherwise. Given: ${join(", ", keys(var.function.environment))}."
  }

  validation {
    condition     = can(regex("^[a-zA-Z0-9_-]{1,128}$", var.function.alias)) && !can(regex("^[0-9]+$", var.function.alias))
    error_message = "function.alias is \"${var.function.alias}\": Lambda takes 1 to 128 letters, digits, '-' and '_', not digits alone (those are versions)."
  }

  validation {
    condition     = var.function.pinned_version == null || can(regex("^[1-9][0-9]*$", var.function.pinned_version))
    error_message = "function.pinned_version is \"${coalesce(var.function.pinned_version, "null")}\": give the number of a published version. Lambda knows no other, and with $LATEST callers would get every upload before it is published."
  }

  validation {
    condition     = !var.function.snap_start || contains(["python3.12", "python3.13", "java11", "java17", "java21", "dotnet8"], var.function.runtime)
    error_message = "function.snap_start needs python3.12 or newer (or java11+, dotnet8); with runtime ${var.function.runtime} Lambda refuses the function."
  }

  validation {
    condition     = !(var.function.snap_start && var.function.provisioned_concurrency > 0)
    error_message = "function.snap_start and function.provisioned_concurrency (${var.function.provisioned_concurrency}) exclude each other: Lambda refuses provisioned concurrency on a version with SnapStart. Keep one."
  }

  validation {
    condition     = var.function.provisioned_concurrency >= 0 && floor(var.function.provisioned_concurrency) == var.function.provisioned_concurrency
    error_message = "function.provisioned_concurrency is ${var.function.provisioned_concurrency}: give a whole number, 0 for none."
  }

  validation {
    condition     = var.function.reserved_concurrency == null || var.function.provisioned_concurrency <= coalesce(var.function.reserved_concurrency, 0)
    error_message = "function.provisioned_concurrency is ${var.function.provisioned_concurrency}, over the reserved_concurrency of ${coalesce(var.function.reserved_concurrency, 0)}: Lambda can't keep more environments ready than may run, and refuses."
  }

  validation {
    condition     = var.function.json_logging == null || (contains(["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"], try(var.function.json_logging.application_level, "")) && contains(["DEBUG", "INFO", "WARN"], try(var.function.json_logging.system_level, "")))
    error_message = "function.json_logging: application_level is TRACE, DEBUG, INFO, WARN, ERROR or FATAL, system_level is DEBUG, INFO or WARN; Lambda refuses ${try(var.function.json_logging.application_level, "")} with ${try(var.function.json_logging.system_level, "")}."
  }

  validation {
    condition     = var.function.dead_letter_arn == null || can(regex("^arn:[a-z-]+:(sqs|sns):[a-z0-9-]+:[0-9]{12}:[a-zA-Z0-9_-]+$", var.function.dead_letter_arn))
    error_message = "function.dead_letter_arn is \"${coalesce(var.function.dead_letter_arn, "null")}\": give the ARN of a standard SQS queue or SNS topic; Lambda refuses FIFO ones and anything else."
  }

  validation {
    condition     = var.function.vpc == null || try(length(var.function.vpc.subnet_ids) > 0 && length(var.function.vpc.security_group_ids) > 0, false)
    error_message = "function.vpc needs at least one subnet and one security group; with one of them empty Lambda would refuse it, or run the function outside the VPC."
  }

  validation {
    condition     = contains([0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.function.log_retention_days)
    error_message = "function.log_retention_days is ${var.function.log_retention_days}: CloudWatch Logs keeps 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653 days (0 for ever) and refuses others."
  }

  validation {
    condition     = can(regex("^/([!-.0-~]+/)*$", var.function.role_path))
    error_message = "function.role_path is \"${var.function.role_path}\": IAM wants a path that begins and ends with '/'."
  }

  validation {
    condition     = var.function.permissions_boundary_arn == null || can(regex("^arn:[a-z-]+:iam::([0-9]{12}|aws):policy/.+$", var.function.permissions_boundary_arn))
    error_message = "function.permissions_boundary_arn is \"${coalesce(var.function.permissions_boundary_arn, "null")}\": IAM wants the ARN of a managed policy (arn:…:iam::<account>:policy/<name>)."
  }
}

variable "package" {
  description = <<-EOT
    The code: `zip` is the path of the archive; `handler` and `source_code_hash` (SHA-256 of the archive in base64) come
    from the manifest that the build wrote.
  EOT
  nullable    = false

  type = object({
    zip              = string
    handler          = string
    source_code_hash = string
  })
}

variable "statements" {
  description = <<-EOT
    All that the function may do, by Sid: `actions` on `resources`, under `condition` (operator to key to values).
    Writing to its own log group comes by itself; nothing else does.
  EOT
  nullable    = false
  default     = {}

  type = map(object({
    actions   = set(string)
    resources = set(string)
    condition = optional(map(map(set(string))), {})
  }))

  validation {
    condition     = alltrue([for sid in keys(var.statements) : can(regex("^[a-zA-Z0-9]+$", sid))])
    error_message = "A Sid has letters and digits only; IAM refuses: ${join(", ", [for sid in keys(var.statements) : "\"${sid}\"" if !can(regex("^[a-zA-Z0-9]+$", sid))])}."
  }

  validation {
    condition     = alltrue(flatten([for statement in var.statements : [for action in statement.actions : can(regex("^[a-z0-9-]+:[a-zA-Z0-9]+$", action))]]))
    error_message = "Actions are named one by one (service:Action), never by a wildcard: what AWS adds later would be allowed too. Wrong: ${join(", ", flatten([for statement in var.statements : [for action in statement.actions : action if !can(regex("^[a-z0-9-]+:[a-zA-Z0-9]+$", action))]]))}."
  }

  validation {
    condition     = alltrue([for statement in var.statements : length(statement.actions) > 0 && length(statement.resources) > 0 && !contains(statement.resources, "*")])
    error_message = "Every statement names its actions and its resources, and no resource is \"*\" (everything in the account). Wrong: ${join(", ", [for sid, statement in var.statements : sid if length(statement.actions) == 0 || length(statement.resources) == 0 || contains(statement.resources, "*")])}."
  }
}

variable "permissions" {
  description = <<-EOT
    Who may invoke the alias, by statement id: `principal` (a service such as `events.amazonaws.com`, or an account),
    and the `source_arn` that it calls for. An HTTP API of `modules/http_api` adds its own.
  EOT
  nullable    = false
  default     = {}

  type = map(object({
    principal      = string
    source_arn     = optional(string)
    source_account = optional(string)
  }))

  validation {
    condition     = alltrue([for permission in var.permissions : !strcontains(permission.principal, "*")])
    error_message = "A permission for principal \"*\" would let anybody in any account invoke the function. Name the service or account."
  }

  validation {
    condition     = alltrue([for permission in var.permissions : !endswith(permission.principal, ".amazonaws.com") || permission.source_arn != null || permission.source_account != null])
    error_message = "A service needs source_arn (or source_account): without it, that service may invoke the function for any customer of AWS. Missing: ${join(", ", [for id, permission in var.permissions : id if endswith(permission.principal, ".amazonaws.com") && permission.source_arn == null && permission.source_account == null])}."
  }
}

variable "alarms" {
  description = <<-EOT
    Alarms of the function; 0 leaves one out.

    - `enabled`: false makes none.
    - `actions`, `ok_actions`: ARNs told when an alarm goes off and when it is over.
    - `period_seconds`: length of a period.
    - `errors`, `throttles`: failed and refused invocations in a period.
    - `duration_percent`: the slowest 1 % take more than this share of the timeout.
    - `concurrency_percent`: share of `reserved_concurrency` in use, where it is reserved.
    - `concurrent_executions`: executions at a time, where nothing is reserved; 800 is 80 % of an account's first quota.
    - `dead_letter_errors`: events that were lost on the way to the dead-letter target, where there is one.
    - `provisioned_spillover`: invocations that found no provisioned environment, where there are some.
  EOT
  nullable    = false
  default     = {}

  type = object({
    enabled               = optional(bool, true)
    actions               = optional(set(string), [])
    ok_actions            = optional(set(string), [])
    period_seconds        = optional(number, 300)
    errors                = optional(number, 1)
    throttles             = optional(number, 1)
    duration_percent      = optional(number, 80)
    concurrency_percent   = optional(number, 80)
    concurrent_executions = optional(number, 800)
    dead_letter_errors    = optional(number, 1)
    provisioned_spillover = optional(number, 1)
  })

  validation {
    condition     = contains([60, 300, 900, 3600], var.alarms.period_seconds)
    error_message = "alarms.period_seconds is ${var.alarms.period_seconds}: use 60, 300, 900 or 3600; Lambda reports once a minute, and CloudWatch refuses an alarm on anything finer."
  }

  validation {
    condition     = alltrue([for percent in [var.alarms.duration_percent, var.alarms.concurrency_percent] : percent >= 0 && percent <= 100])
    error_message = "alarms.duration_percent (${var.alarms.duration_percent}) and alarms.concurrency_percent (${var.alarms.concurrency_percent}) are shares of 100: above that, the alarm could never go off. Use 0 to leave one out."
  }

  validation {
    condition     = alltrue([for number in [var.alarms.errors, var.alarms.throttles, var.alarms.concurrent_executions, var.alarms.dead_letter_errors, var.alarms.provisioned_spillover] : number >= 0])
    error_message = "An alarm threshold can't be negative: the alarm would never be over. Use 0 to leave an alarm out."
  }
}
