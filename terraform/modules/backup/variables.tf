variable "backup" {
  description = <<-EOT
    The vault, the plan that fills it, and the tables that are backed up.

    - `name`: of vault, plan and role; 2 to 50 letters, digits, `-` and `_`.
    - `table_arns`: ARNs of the tables.
    - `rules`: when backups are made and how long they stay, by a name of your choice: `schedule` (`cron(…)`, in UTC),
      `start_window_minutes` (how late a job may start; at least 60), `completion_window_minutes` (from the schedule to
      the end; at least 60 more), `delete_after_days` (null keeps backups for ever), `cold_storage_after_days` (null for
      never; a backup stays at least 90 days there), and `copy_to_vault_arns`: vaults of other regions or accounts that
      get a copy of each backup, kept as long as the backup itself.
    - `lock`: refuses to delete a backup before its time, whoever asks: `min_retention_days`, `max_retention_days` (null
      for no limit) and `changeable_for_days`. Without the last (governance mode) whoever may, takes the lock off again.
      With it (compliance mode), after so many days nobody can, AWS included: irreversible, and so is the bill.
    - `kms_key_arn`: key of the vault; null for the account's `aws/backup` key.
    - `table_kms_key_arns`: keys of the tables, where their own policies leave it to IAM who uses them.
    - `role_arn`: a role that makes the backups; null to make one that may do so with these tables only, under
      `role_path` and with `permissions_boundary_arn`, if any.
    - `failure_topic_arns`: SNS topics that are told when a backup or a copy fails; their policies must let
      `events.amazonaws.com` publish.
    - `tags`: tags of all this.
  EOT
  nullable    = false

  type = object({
    name       = string
    table_arns = set(string)

    rules = optional(map(object({
      schedule                  = string
      start_window_minutes      = optional(number, 60)
      completion_window_minutes = optional(number, 480)
      delete_after_days         = optional(number)
      cold_storage_after_days   = optional(number)
      copy_to_vault_arns        = optional(set(string), [])
      })), {
      daily   = { schedule = "cron(0 5 * * ? *)", delete_after_days = 35 }
      monthly = { schedule = "cron(0 6 1 * ? *)", delete_after_days = 365 }
    })

    lock = optional(object({
      min_retention_days  = optional(number, 7)
      max_retention_days  = optional(number)
      changeable_for_days = optional(number)
    }))

    kms_key_arn              = optional(string)
    table_kms_key_arns       = optional(set(string), [])
    role_arn                 = optional(string)
    role_path                = optional(string, "/")
    permissions_boundary_arn = optional(string)
    failure_topic_arns       = optional(list(string), [])
    tags                     = optional(map(string), {})
  })

  validation {
    condition     = can(regex("^[a-zA-Z0-9_-]{2,50}$", var.backup.name))
    error_message = "backup.name is \"${var.backup.name}\": AWS Backup takes 2 to 50 letters, digits, '-' and '_', and refuses the vault otherwise."
  }

  validation {
    condition     = length(var.backup.rules) > 0 && alltrue([for name in keys(var.backup.rules) : can(regex("^[a-zA-Z0-9_.-]{1,50}$", name))])
    error_message = "backup.rules needs at least one rule, named by 1 to 50 letters, digits, '-', '_' and '.'; AWS Backup refuses the plan otherwise. Given: ${join(", ", [for name in keys(var.backup.rules) : "\"${name}\""])}."
  }

  validation {
    condition     = alltrue([for rule in var.backup.rules : can(regex("^cron\\(\\S+( \\S+){5}\\)$", rule.schedule))])
    error_message = "backup.rules: schedule is cron(<minutes> <hours> <day> <month> <weekday> <year>) in UTC, for example cron(0 5 * * ? *); AWS Backup refuses: ${join(", ", [for name, rule in var.backup.rules : "${name} = ${rule.schedule}" if !can(regex("^cron\\(\\S+( \\S+){5}\\)$", rule.schedule))])}."
  }

  validation {
    condition     = alltrue([for rule in var.backup.rules : rule.start_window_minutes >= 60 && rule.completion_window_minutes >= rule.start_window_minutes + 60])
    error_message = "backup.rules: start_window_minutes is at least 60, and completion_window_minutes at least 60 more; AWS Backup refuses the plan otherwise. Wrong: ${join(", ", [for name, rule in var.backup.rules : "${name} (${rule.start_window_minutes}, ${rule.completion_window_minutes})" if !(rule.start_window_minutes >= 60 && rule.completion_window_minutes >= rule.start_window_minutes + 60)])}."
  }

  validation {
    condition     = alltrue([for rule in var.backup.rules : coalesce(rule.delete_after_days, 1) >= 1 && coalesce(rule.delete_after_days, 1) <= 36500 && floor(coalesce(rule.delete_after_days, 1)) == coalesce(rule.delete_after_days, 1)])
    error_message = "backup.rules: delete_after_days is 1 to 36500 whole days, or null for backups that stay for ever. Given: ${join(", ", [for name, rule in var.backup.rules : "${name} = ${coalesce(rule.delete_after_days, 1)}"])}."
  }

  validation {
    condition     = alltrue([for rule in var.backup.rules : coalesce(rule.cold_storage_after_days, 1) >= 1 && coalesce(rule.delete_after_days, 36500) >= coalesce(rule.cold_storage_after_days, -90) + 90])
    error_message = "backup.rules: a backup that goes to cold storage stays there for at least 90 days, so delete_after_days is at least cold_storage_after_days (1 or more) + 90; AWS Backup refuses the plan otherwise. Wrong: ${join(", ", [for name, rule in var.backup.rules : "${name} (cold after ${coalesce(rule.cold_storage_after_days, 0)}, deleted after ${coalesce(rule.delete_after_days, 0)})" if !(coalesce(rule.cold_storage_after_days, 1) >= 1 && coalesce(rule.delete_after_days, 36500) >= coalesce(rule.cold_storage_after_days, -90) + 90)])}."
  }

  validation {
    condition     = alltrue(flatten([for rule in var.backup.rules : [for arn in rule.copy_to_vault_arns : can(regex("^arn:[a-z-]+:backup:[a-z0-9-]+:[0-9]{12}:backup-vault:[a-zA-Z0-9_-]{2,50}$", arn)) && !endswith(arn, ":backup-vault:Default")]]))
    error_message = "backup.rules: copy_to_vault_arns are ARNs of vaults (arn:…:backup:<region>:<account>:backup-vault:<name>), and never of a default vault, whose key can't be shared: the copy jobs would fail. Given: ${join(", ", flatten([for rule in var.backup.rules : rule.copy_to_vault_arns]))}."
  }

  validation {
    condition = var.backup.lock == null || try(
      var.backup.lock.min_retention_days >= 1 && coalesce(var.backup.lock.max_retention_days, 36500) <= 36500
      && var.backup.lock.min_retention_days <= coalesce(var.backup.lock.max_retention_days, 36500)
    , false)
    error_message = "backup.lock keeps backups for min_retention_days (1 or more) to max_retention_days (at most 36500, not below the minimum); AWS Backup refuses the lock otherwise. Given: ${try(var.backup.lock.min_retention_days, "none")} to ${try(coalesce(var.backup.lock.max_retention_days, 36500), "none")}."
  }

  validation {
    condition     = try(coalesce(var.backup.lock.changeable_for_days, 3) >= 3 && coalesce(var.backup.lock.changeable_for_days, 3) <= 36500, true)
    error_message = "backup.lock.changeable_for_days is ${try(coalesce(var.backup.lock.changeable_for_days), "null")}: AWS Backup gives at least 3 days to think it over before the lock can't be changed by anybody any more. Leave it out for a lock that can be taken off."
  }

  # AWS takes such a plan, and every job fails.
  validation {
    condition     = var.backup.lock == null || alltrue([for rule in var.backup.rules : coalesce(rule.delete_after_days, 36500) >= try(var.backup.lock.min_retention_days, 1)])
    error_message = "backup.rules: the vault's lock keeps every backup for at least ${try(var.backup.lock.min_retention_days, 1)} days, and jobs of a rule that wants less fail: ${join(", ", [for name, rule in var.backup.rules : "${name} = ${coalesce(rule.delete_after_days, 36500)}" if !(coalesce(rule.delete_after_days, 36500) >= try(var.backup.lock.min_retention_days, 1))])}. Raise delete_after_days, or lower lock.min_retention_days."
  }

  validation {
    condition     = try(var.backup.lock.max_retention_days, null) == null || alltrue([for rule in var.backup.rules : try(rule.delete_after_days <= var.backup.lock.max_retention_days, false)])
    error_message = "backup.rules: the vault's lock keeps no backup for more than ${try(coalesce(var.backup.lock.max_retention_days, 0), 0)} days, and jobs of a rule that wants more (or no end) fail: ${join(", ", [for name, rule in var.backup.rules : "${name} = ${try(coalesce(rule.delete_after_days), "for ever")}" if !try(rule.delete_after_days <= var.backup.lock.max_retention_days, false)])}. Lower delete_after_days, or raise lock.max_retention_days."
  }

  validation {
    condition     = alltrue([for arn in var.backup.table_arns : can(regex("^arn:[a-z-]+:dynamodb:[a-z0-9-]+:[0-9]{12}:table/[a-zA-Z0-9_.-]+$", arn))])
    error_message = "backup.table_arns are ARNs of DynamoDB tables (arn:…:dynamodb:<region>:<account>:table/<name>); the role could back up nothing else. Given: ${join(", ", var.backup.table_arns)}."
  }
}
