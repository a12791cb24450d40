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

variable "parameter_path" {
  description = "SSM path under which names of tables and functions and the API's URL are published for other programs: null for `/<name_prefix>/<environment>`, \"\" to publish nothing."
  type        = string
  default     = null

  validation {
    condition     = var.parameter_path == null || var.parameter_path == "" || can(regex("^(/[a-zA-Z0-9_.-]{1,50}){1,10}$", var.parameter_path))
    error_message = "parameter_path is \"${coalesce(var.parameter_path, "null")}\": begin with '/', end without, use letters, digits, '_', '.' and '-' in at most 10 levels of 50 characters; SSM refuses longer and other names."
  }

  validation {
    condition     = var.parameter_path == "" || !can(regex("^/(?i)(aws|ssm)", var.parameter_path == null ? "/${var.name_prefix}" : var.parameter_path))
    error_message = "parameter_path ${var.parameter_path == null ? "would be /${var.name_prefix}/${var.environment}" : "is ${var.parameter_path}"}: SSM keeps names that begin with aws or ssm to itself. Begin with another word, or give \"\" to publish nothing."
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
  default     = ["agent_profiles", "agent_registry", "agent_sessions", "chat_sessions", "pet_store"]

  validation {
    condition     = var.systems != null && length(setsubtract(var.systems, local.known_systems)) == 0
    error_message = "systems: there is no ${join(", ", setsubtract(var.systems, local.known_systems))}. Use some of: ${join(", ", local.known_systems)}."
  }

  validation {
    condition     = length(var.systems) == 0 || alltrue([for table in values(local.table_names) : can(regex("^[a-zA-Z0-9_.-]{3,255}$", table.name))])
    error_message = "A table's name has 3 to 255 letters, digits, '_', '.' and '-'; DynamoDB refuses the table otherwise. Wrong: ${join(", ", [for table in values(local.table_names) : "${table.variable} = \"${table.name}\"" if !can(regex("^[a-zA-Z0-9_.-]{3,255}$", table.name))])}."
  }

  validation {
    condition     = length(var.systems) == 0 || length(distinct(values(local.table_names)[*].name)) == length(local.table_names)
    error_message = "DynamoDB has one table of a name, and would refuse the second. The same: ${join(", ", [for table in values(local.table_names) : "${table.variable} = \"${table.name}\"" if length([for other in values(local.table_names) : other if other.name == table.name]) > 1])}."
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

variable "attach_access_to_roles" {
  description = <<-EOT
    IAM roles outside this stack that get access to a system's tables, by system.

    - `roles`: their names.
    - `access`: `read`, `write` (read included) or `admin`; the documents are in the output `systems`.
  EOT
  nullable    = false
  default     = {}

  type = map(object({
    roles  = set(string)
    access = optional(string, "write")
  }))

  validation {
    condition     = length(setsubtract(keys(var.attach_access_to_roles), local.known_systems)) == 0
    error_message = "attach_access_to_roles: there is no system ${join(", ", setsubtract(keys(var.attach_access_to_roles), local.known_systems))}. Use some of: ${join(", ", local.known_systems)}."
  }

  validation {
    condition     = alltrue(flatten([for access in values(var.attach_access_to_roles) : [for role in access.roles : can(regex("^[a-zA-Z0-9+=,.@_-]{1,64}$", role))]]))
    error_message = "attach_access_to_roles takes names of roles, not ARNs or paths; IAM would find no role: ${join(", ", flatten([for access in values(var.attach_access_to_roles) : [for role in access.roles : "\"${role}\"" if !can(regex("^[a-zA-Z0-9+=,.@_-]{1,64}$", role))]]))}."
  }

  validation {
    condition     = alltrue([for access in values(var.attach_access_to_roles) : contains(["read", "write", "admin"], access.access)])
    error_message = "attach_access_to_roles: access is read, write or admin, not: ${join(", ", [for system, access in var.attach_access_to_roles : "${system} = ${access.access}" if !contains(["read", "write", "admin"], access.access)])}."
  }
}

variable "agent_registry" {
  description = <<-EOT
    The agent registry.

    - `table_name`: its table.
    - `capability_shards`: over how many partitions of the index the agents of one capability are spread (`write`), and how
      many are read (`read`, unless stated as many). Raise `read` first, lower it last: docs/scale.md.
  EOT
  nullable    = false
  default     = {}

  type = object({
    table_name        = optional(string, "AgentRegistry")
    capability_shards = optional(object({ write = optional(number, 1), read = optional(number) }), {})
  })

  validation {
    condition     = try(min(var.agent_registry.capability_shards.write, coalesce(var.agent_registry.capability_shards.read, var.agent_registry.capability_shards.write)) >= 1 && max(var.agent_registry.capability_shards.write, coalesce(var.agent_registry.capability_shards.read, var.agent_registry.capability_shards.write)) <= 64 && floor(var.agent_registry.capability_shards.write) == var.agent_registry.capability_shards.write && floor(coalesce(var.agent_registry.capability_shards.read, 1)) == coalesce(var.agent_registry.capability_shards.read, 1) && coalesce(var.agent_registry.capability_shards.read, var.agent_registry.capability_shards.write) >= var.agent_registry.capability_shards.write, false)
    error_message = "agent_registry.capability_shards: write is ${var.agent_registry.capability_shards.write} and read is ${coalesce(var.agent_registry.capability_shards.read, var.agent_registry.capability_shards.write)}: give whole numbers from 1 to 64, read no smaller than write; agents in a shard that is not read would not be found."
  }
}

variable "agent_profiles" {
  description = <<-EOT
    Agent profiles and conversations.

    - `profiles_table_name`, `conversations_table_name`: their tables; `match_table_name`: the entries by which profiles
      are found by tag and price.
    - `capacity`: `billing_mode` `PROVISIONED` with units a second of each table (`read`, `write`) and of each index
      (`index_read`, `index_write`), or `PAY_PER_REQUEST`. `autoscaling` (`{}` to switch it on) lets AWS raise the units
      up to `max_read` and `max_write` of each table and each index, and lower them to those stated again, so that
      `target_percent` of them is used.
    - `match_shards`: over how many partitions the profiles of one job, city, tag, or with a price, are spread (`write`), and
      how many are read (`read`, unless stated as many). Raise `read` first, lower it last: docs/scale.md.
  EOT
  nullable    = false
  default     = {}

  type = object({
    profiles_table_name      = optional(string, "agent-profiles")
    conversations_table_name = optional(string, "agent-conversations")
    match_table_name         = optional(string, "agent-profiles-match")

    capacity = optional(object({
      billing_mode = optional(string, "PROVISIONED")
      read         = optional(number, 10)
      write        = optional(number, 10)
      index_read   = optional(number, 5)
      index_write  = optional(number, 5)
      autoscaling = optional(object({
        max_read       = optional(number, 100)
        max_write      = optional(number, 100)
        target_percent = optional(number, 70)
      }))
    }), {})

    match_shards = optional(object({ write = optional(number, 1), read = optional(number) }), {})
  })

  validation {
    condition     = try(min(var.agent_profiles.match_shards.write, coalesce(var.agent_profiles.match_shards.read, var.agent_profiles.match_shards.write)) >= 1 && max(var.agent_profiles.match_shards.write, coalesce(var.agent_profiles.match_shards.read, var.agent_profiles.match_shards.write)) <= 64 && floor(var.agent_profiles.match_shards.write) == var.agent_profiles.match_shards.write && floor(coalesce(var.agent_profiles.match_shards.read, 1)) == coalesce(var.agent_profiles.match_shards.read, 1) && coalesce(var.agent_profiles.match_shards.read, var.agent_profiles.match_shards.write) >= var.agent_profiles.match_shards.write, false)
    error_message = "agent_profiles.match_shards: write is ${var.agent_profiles.match_shards.write} and read is ${coalesce(var.agent_profiles.match_shards.read, var.agent_profiles.match_shards.write)}: give whole numbers from 1 to 64, read no smaller than write; profiles in a shard that is not read would not match."
  }

  validation {
    condition     = contains(["PROVISIONED", "PAY_PER_REQUEST"], var.agent_profiles.capacity.billing_mode)
    error_message = "agent_profiles.capacity.billing_mode is \"${var.agent_profiles.capacity.billing_mode}\": DynamoDB knows PROVISIONED and PAY_PER_REQUEST."
  }

  validation {
    condition     = alltrue([for units in [var.agent_profiles.capacity.read, var.agent_profiles.capacity.write, var.agent_profiles.capacity.index_read, var.agent_profiles.capacity.index_write] : units >= 1 && floor(units) == units])
    error_message = "agent_profiles.capacity: read, write, index_read and index_write are whole units of at least 1; DynamoDB refuses the tables otherwise."
  }

  validation {
    condition = var.agent_profiles.capacity.autoscaling == null || try(
      floor(var.agent_profiles.capacity.autoscaling.max_read) == var.agent_profiles.capacity.autoscaling.max_read
      && floor(var.agent_profiles.capacity.autoscaling.max_write) == var.agent_profiles.capacity.autoscaling.max_write
      && var.agent_profiles.capacity.autoscaling.max_read >= max(var.agent_profiles.capacity.read, var.agent_profiles.capacity.index_read)
      && var.agent_profiles.capacity.autoscaling.max_write >= max(var.agent_profiles.capacity.write, var.agent_profiles.capacity.index_write)
    , false)
    error_message = "agent_profiles.capacity.autoscaling raises units from those stated: max_read is a whole number, at least read and index_read; max_write is one, at least write and index_write."
  }

  validation {
    condition     = var.agent_profiles.capacity.autoscaling == null || try(var.agent_profiles.capacity.autoscaling.target_percent >= 20 && var.agent_profiles.capacity.autoscaling.target_percent <= 90, false)
    error_message = "agent_profiles.capacity.autoscaling.target_percent is ${try(var.agent_profiles.capacity.autoscaling.target_percent, "null")}: AWS takes 20 to 90."
  }
}

variable "agent_sessions" {
  description = <<-EOT
    Multi-tenant agent sessions and messages.

    - `sessions_table_name`, `messages_table_name`: their tables.
    - `message_ttl_days`: when messages expire; 0 for never.
    - `reply`: where replies come from. `backend` `echo` needs nothing; `http` posts each message to `url`, with a key
      from Secrets Manager (`key_secret_arn`) or SSM (`key_parameter_name`, a SecureString), and gives up after
      `timeout_seconds`. `key_kms_key_arn` names the key that the secret is encrypted with, unless it is AWS's own. The
      key itself stands in no variable, environment or state.
    - `tenant_shards`: indexes that bear a tenant of any size, in place of those by tenant: over how many partitions of
      them a tenant is spread (`write`), how many are read (`read`, unless stated as many), and how far that is (`stage`):
      `off`; `add`: they are made and written to, beside the others; `read`: the function reads them; `done`: the others
      are gone. One after the other, `make reshard` between `add` and `read`: docs/scale.md.
  EOT
  nullable    = false
  default     = {}

  type = object({
    sessions_table_name = optional(string, "ai-agent-sessions")
    messages_table_name = optional(string, "ai-agent-messages")
    message_ttl_days    = optional(number, 90)

    reply = optional(object({
      backend            = optional(string, "echo")
      url                = optional(string)
      key_secret_arn     = optional(string)
      key_parameter_name = optional(string)
      key_kms_key_arn    = optional(string)
      timeout_seconds    = optional(number, 20)
    }), {})

    tenant_shards = optional(object({ write = optional(number, 1), read = optional(number), stage = optional(string, "off") }), {})
  })

  validation {
    condition     = try(min(var.agent_sessions.tenant_shards.write, coalesce(var.agent_sessions.tenant_shards.read, var.agent_sessions.tenant_shards.write)) >= 1 && max(var.agent_sessions.tenant_shards.write, coalesce(var.agent_sessions.tenant_shards.read, var.agent_sessions.tenant_shards.write)) <= 64 && floor(var.agent_sessions.tenant_shards.write) == var.agent_sessions.tenant_shards.write && floor(coalesce(var.agent_sessions.tenant_shards.read, 1)) == coalesce(var.agent_sessions.tenant_shards.read, 1) && coalesce(var.agent_sessions.tenant_shards.read, var.agent_sessions.tenant_shards.write) >= var.agent_sessions.tenant_shards.write, false)
    error_message = "agent_sessions.tenant_shards: write is ${var.agent_sessions.tenant_shards.write} and read is ${coalesce(var.agent_sessions.tenant_shards.read, var.agent_sessions.tenant_shards.write)}: give whole numbers from 1 to 64, read no smaller than write; sessions in a shard that is not read would not be found."
  }

  validation {
    condition     = contains(["off", "add", "read", "done"], var.agent_sessions.tenant_shards.stage)
    error_message = "agent_sessions.tenant_shards.stage is \"${var.agent_sessions.tenant_shards.stage}\": use off, add, read or done, one after the other."
  }

  validation {
    condition     = var.agent_sessions.tenant_shards.stage != "off" || (var.agent_sessions.tenant_shards.write == 1 && coalesce(var.agent_sessions.tenant_shards.read, 1) == 1)
    error_message = "agent_sessions.tenant_shards: write and read mean nothing while stage is off. Set stage = \"add\", or leave them out."
  }

  validation {
    condition     = var.agent_sessions.message_ttl_days >= 0 && var.agent_sessions.message_ttl_days <= 36500 && floor(var.agent_sessions.message_ttl_days) == var.agent_sessions.message_ttl_days
    error_message = "agent_sessions.message_ttl_days is ${var.agent_sessions.message_ttl_days}: give 1 to 36500 whole days, or 0 for messages that never expire."
  }

  validation {
    condition     = contains(["echo", "http"], var.agent_sessions.reply.backend)
    error_message = "agent_sessions.reply.backend is \"${var.agent_sessions.reply.backend}\": use echo or http; the function would answer every message with an error."
  }

  validation {
    condition     = var.agent_sessions.reply.backend != "http" || can(regex(var.environment == "local" ? "^https?://[^/?#@ ]+(/[^ #]*)?$" : "^https://[^/?#@ ]+(/[^ #]*)?$", var.agent_sessions.reply.url))
    error_message = "agent_sessions.reply.url: with backend http give an https URL (http only in environment local) without user and password, which would stand in state and logs; messages and key would travel in the clear otherwise."
  }

  validation {
    condition     = var.agent_sessions.reply.backend != "http" || (var.agent_sessions.reply.key_secret_arn == null) != (var.agent_sessions.reply.key_parameter_name == null)
    error_message = "agent_sessions.reply: with backend http give one of key_secret_arn (Secrets Manager) and key_parameter_name (SSM); the function would fail at each message with ${var.agent_sessions.reply.key_secret_arn == null ? "none" : "both"}."
  }

  validation {
    condition     = var.agent_sessions.reply.key_secret_arn == null || can(regex("^arn:[a-z-]+:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[^ *]+$", var.agent_sessions.reply.key_secret_arn))
    error_message = "agent_sessions.reply.key_secret_arn is not the ARN of a secret (arn:…:secretsmanager:<region>:<account>:secret:<name>-<6 characters>). Make the secret, and give its ARN; never put the key itself here."
  }

  validation {
    condition     = var.agent_sessions.reply.key_parameter_name == null || can(regex("^/?[a-zA-Z0-9_.-]+(/[a-zA-Z0-9_.-]+)*$", var.agent_sessions.reply.key_parameter_name))
    error_message = "agent_sessions.reply.key_parameter_name is not the name of an SSM parameter (letters, digits, '_', '.', '-', parts separated by '/'). Never put the key itself here."
  }

  validation {
    condition     = var.agent_sessions.reply.timeout_seconds >= 1 && var.agent_sessions.reply.timeout_seconds <= 25
    error_message = "agent_sessions.reply.timeout_seconds is ${var.agent_sessions.reply.timeout_seconds}: use 1 to 25; API Gateway gives up after 30 s, and the message must still be stored and answered."
  }
}

variable "pet_store" {
  description = <<-EOT
    The pet store.

    - `table_name`: its table. `seed`: whether it is seeded with fifteen pets once.
    - `id_block_size`: how many ids an execution environment takes from the counter at once. More than 1 gives up that ids
      are consecutive, and that a later pet has the higher one: docs/scale.md.
  EOT
  nullable    = false
  default     = {}

  type = object({
    table_name    = optional(string, "PetStore")
    seed          = optional(bool, true)
    id_block_size = optional(number, 1)
  })

  validation {
    condition     = var.pet_store.id_block_size >= 1 && var.pet_store.id_block_size <= 100 && floor(var.pet_store.id_block_size) == var.pet_store.id_block_size
    error_message = "pet_store.id_block_size is ${var.pet_store.id_block_size}: give 1 to 100 whole ids; larger gaps would be searched in vain when a table is taken over."
  }
}

variable "chat_sessions" {
  description = <<-EOT
    Chat sessions.

    - `table_name`: their table; `table_name` outside this object goes before it.
    - `session_ttl_days`: a session and its messages go so many days after `session_ttl_base`; 0 for never.
    - `session_ttl_base`: `created_at`, or `last_accessed` for sessions that live on while they are used.
    - `recency_granularity_seconds`: how exactly a user's sessions are ordered by their last use; 0 for exactly. From 1 on
      the index changes once in so many seconds at most for each session: docs/scale.md.
    - `deletion_shards`: over how many partitions of the index deleted sessions wait for their end (`write`), and how many
      are looked through (`read`, unless stated as many). Raise `read` first, lower it last: docs/scale.md.
  EOT
  nullable    = false
  default     = {}

  type = object({
    table_name       = optional(string, "chat_sessions")
    session_ttl_days = optional(number, 30)
    session_ttl_base = optional(string, "created_at")

    recency_granularity_seconds = optional(number, 0)
    deletion_shards             = optional(object({ write = optional(number, 1), read = optional(number) }), {})
  })

  validation {
    condition     = var.chat_sessions.recency_granularity_seconds >= 0 && var.chat_sessions.recency_granularity_seconds <= 86400 && floor(var.chat_sessions.recency_granularity_seconds) == var.chat_sessions.recency_granularity_seconds
    error_message = "chat_sessions.recency_granularity_seconds is ${var.chat_sessions.recency_granularity_seconds}: give 1 to 86400 whole seconds, or 0 for an exact order."
  }

  validation {
    condition     = try(min(var.chat_sessions.deletion_shards.write, coalesce(var.chat_sessions.deletion_shards.read, var.chat_sessions.deletion_shards.write)) >= 1 && max(var.chat_sessions.deletion_shards.write, coalesce(var.chat_sessions.deletion_shards.read, var.chat_sessions.deletion_shards.write)) <= 64 && floor(var.chat_sessions.deletion_shards.write) == var.chat_sessions.deletion_shards.write && floor(coalesce(var.chat_sessions.deletion_shards.read, 1)) == coalesce(var.chat_sessions.deletion_shards.read, 1) && coalesce(var.chat_sessions.deletion_shards.read, var.chat_sessions.deletion_shards.write) >= var.chat_sessions.deletion_shards.write, false)
    error_message = "chat_sessions.deletion_shards: write is ${var.chat_sessions.deletion_shards.write} and read is ${coalesce(var.chat_sessions.deletion_shards.read, var.chat_sessions.deletion_shards.write)}: give whole numbers from 1 to 64, read no smaller than write; what a deletion leaves in a shard that is not read would stay."
  }

  validation {
    condition     = var.chat_sessions.session_ttl_days >= 0 && var.chat_sessions.session_ttl_days <= 36500 && floor(var.chat_sessions.session_ttl_days) == var.chat_sessions.session_ttl_days
    error_message = "chat_sessions.session_ttl_days is ${var.chat_sessions.session_ttl_days}: give 1 to 36500 whole days, or 0 for sessions that stay until they are deleted."
  }

  validation {
    condition     = contains(["created_at", "last_accessed"], var.chat_sessions.session_ttl_base)
    error_message = "chat_sessions.session_ttl_base is \"${var.chat_sessions.session_ttl_base}\": use created_at or last_accessed; the function would refuse to start."
  }
}

variable "table_name" {
  description = "Table of the chat sessions, as their users have always named it; null for `chat_sessions.table_name`."
  type        = string
  default     = null
}

variable "token_claims" {
  description = "Claims of a verified token that say whose data a request is about: `tenant` and `user`."
  nullable    = false
  default     = {}

  type = object({
    tenant = optional(string, "tenantId")
    user   = optional(string, "sub")
  })

  validation {
    condition     = alltrue([for claim in [var.token_claims.tenant, var.token_claims.user] : can(regex("^[a-zA-Z0-9_:./-]{1,128}$", claim))])
    error_message = "token_claims: a claim's name has 1 to 128 letters, digits and '_:./-'. Given: ${var.token_claims.tenant}, ${var.token_claims.user}; every token would be refused."
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
    - `kms_key_arn`: the key, with `CUSTOMER_MANAGED`; or
    - `create_kms_key`: makes one (`{}` suffices), which the tables' users need no permission for: `rotation_days`,
      `deletion_window_days`, `multi_region`, `administrator_arns` (who may change it; empty leaves that to IAM) and
      `user_arns` (who else may use it, beside this stack's functions and backups; empty lets in whoever DynamoDB lets
      in). Who applies must be among both, where they are stated.
  EOT
  nullable    = false
  default     = {}

  type = object({
    type        = optional(string, "AWS_OWNED")
    kms_key_arn = optional(string)
    create_kms_key = optional(object({
      rotation_days        = optional(number, 365)
      deletion_window_days = optional(number, 30)
      multi_region         = optional(bool, false)
      administrator_arns   = optional(set(string), [])
      user_arns            = optional(set(string), [])
    }))
  })

  validation {
    condition     = contains(["AWS_OWNED", "AWS_MANAGED", "CUSTOMER_MANAGED"], var.table_encryption.type)
    error_message = "table_encryption.type is \"${var.table_encryption.type}\": use AWS_OWNED, AWS_MANAGED or CUSTOMER_MANAGED."
  }

  validation {
    condition     = var.table_encryption.type != "CUSTOMER_MANAGED" || (var.table_encryption.kms_key_arn == null ? var.table_encryption.create_kms_key != null : var.table_encryption.create_kms_key == null && can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.table_encryption.kms_key_arn)))
    error_message = "table_encryption: CUSTOMER_MANAGED needs one of kms_key_arn (arn:…:kms:<region>:<account>:key/<id>) and create_kms_key. Given: ${coalesce(var.table_encryption.kms_key_arn, "null")}, and ${var.table_encryption.create_kms_key == null ? "no" : "a"} key to be made; DynamoDB would encrypt with another key than you expect."
  }

  validation {
    condition     = var.table_encryption.type == "CUSTOMER_MANAGED" || (var.table_encryption.kms_key_arn == null && var.table_encryption.create_kms_key == null)
    error_message = "table_encryption.type is ${var.table_encryption.type}, which takes neither kms_key_arn nor create_kms_key: DynamoDB would encrypt with another key than you expect. Set type = \"CUSTOMER_MANAGED\", or remove them."
  }
}

variable "adopt_tables" {
  description = "Names of tables of this stack that exist already, made by hand or by another program: they are taken into the state as they are, items included, and the plan shows what would be changed of them. Names may stay here afterwards."
  type        = set(string)
  nullable    = false
  default     = []

  validation {
    condition     = length(setsubtract(var.adopt_tables, local.adoptable)) == 0
    error_message = "adopt_tables: this stack has no table ${join(", ", setsubtract(var.adopt_tables, local.adoptable))}. Switch its system on (systems), and give the table's name to the variable that names it: ${join(", ", [for table in values(local.tables_in_use) : "${table.variable} = \"${table.name}\""])}. One that belongs to no system is described in extra_tables."
  }
}

variable "tables" {
  description = <<-EOT
    Settings of single tables, which go before those of all tables and of their system. By system and table:
    `agent_registry.agents`, `agent_profiles.profiles`, `.match` and `.conversations`, `agent_sessions.sessions` and
    `.messages`, `pet_store.pets`, `chat_sessions.sessions`, `idempotency.markers`.

    - `billing_mode`, `read_capacity`, `write_capacity`, `autoscaling`, `on_demand_throughput`,
      `point_in_time_recovery_days`, `deletion_protection`, `encryption`, `ttl`, `stream_view_type`, `table_class`,
      `contributor_insights`, `resource_policy`, `replicas`: as in module `table`. All can change in place.
    - `indexes`: by name, what differs of an index of the system, or an index more (with its `hash_key`).
    - `tags`: more tags of this table. `own_tags_only`: the table has these and no others.
  EOT
  nullable    = false
  default     = {}

  type = map(object({
    billing_mode   = optional(string)
    read_capacity  = optional(number)
    write_capacity = optional(number)
    autoscaling = optional(object({
      read  = optional(object({ min = optional(number), max = number, target_percent = optional(number, 70) }))
      write = optional(object({ min = optional(number), max = number, target_percent = optional(number, 70) }))
    }))
    on_demand_throughput = optional(object({ max_read_request_units = optional(number), max_write_request_units = optional(number) }))

    point_in_time_recovery_days = optional(number)
    deletion_protection         = optional(bool)
    encryption                  = optional(object({ type = optional(string, "AWS_OWNED"), kms_key_arn = optional(string) }))
    ttl                         = optional(object({ attribute = string, enabled = optional(bool, true) }))
    stream_view_type            = optional(string)
    table_class                 = optional(string)
    contributor_insights        = optional(bool)
    resource_policy             = optional(string)
    tags                        = optional(map(string), {})
    own_tags_only               = optional(bool, false)

    replicas = optional(map(object({
      point_in_time_recovery = optional(bool, true)
      kms_key_arn            = optional(string)
      propagate_tags         = optional(bool, true)
    })))

    indexes = optional(map(object({
      hash_key           = optional(object({ name = string, type = string }))
      range_key          = optional(object({ name = string, type = string }))
      projection_type    = optional(string)
      non_key_attributes = optional(set(string))
      read_capacity      = optional(number)
      write_capacity     = optional(number)
      autoscaling = optional(object({
        read  = optional(object({ min = optional(number), max = number, target_percent = optional(number, 70) }))
        write = optional(object({ min = optional(number), max = number, target_percent = optional(number, 70) }))
      }))
      on_demand_throughput = optional(object({ max_read_request_units = optional(number), max_write_request_units = optional(number) }))
      contributor_insights = optional(bool)
    })), {})
  }))

  validation {
    condition     = length(setsubtract(keys(var.tables), keys(local.table_names))) == 0
    error_message = "tables: there is no table ${join(", ", setsubtract(keys(var.tables), keys(local.table_names)))}. Use some of: ${join(", ", keys(local.table_names))}; tables that belong to no system are for extra_tables."
  }

  validation {
    condition = alltrue(flatten([
      for table, settings in var.tables : [
        for index, stated in settings.indexes : stated.hash_key != null || contains(try(local.system_index_names[table], [index]), index)
      ]
    ]))
    error_message = "tables: an index that its system does not define needs a hash_key ({ name, type }). Without: ${join(", ", flatten([for table, settings in var.tables : [for index, stated in settings.indexes : "${table}/${index}" if stated.hash_key == null && !contains(try(local.system_index_names[table], [index]), index)]]))}. Defined are: ${join(", ", keys(local.index_names))}."
  }

  validation {
    condition     = alltrue([for table in values(var.tables) : contains(["PROVISIONED", "PAY_PER_REQUEST"], coalesce(table.billing_mode, "PROVISIONED"))])
    error_message = "tables: billing_mode is PROVISIONED or PAY_PER_REQUEST, not: ${join(", ", [for name, table in var.tables : "${name} = ${coalesce(table.billing_mode, "null")}" if !contains(["PROVISIONED", "PAY_PER_REQUEST"], coalesce(table.billing_mode, "PROVISIONED"))])}."
  }

  validation {
    condition     = alltrue([for table in values(var.tables) : coalesce(table.point_in_time_recovery_days, 0) >= 0 && coalesce(table.point_in_time_recovery_days, 0) <= 35 && floor(coalesce(table.point_in_time_recovery_days, 0)) == coalesce(table.point_in_time_recovery_days, 0)])
    error_message = "tables: point_in_time_recovery_days is 1 to 35 whole days, or 0 for none; DynamoDB refuses others. Given: ${join(", ", [for name, table in var.tables : "${name} = ${coalesce(table.point_in_time_recovery_days, 0)}" if !(coalesce(table.point_in_time_recovery_days, 0) >= 0 && coalesce(table.point_in_time_recovery_days, 0) <= 35 && floor(coalesce(table.point_in_time_recovery_days, 0)) == coalesce(table.point_in_time_recovery_days, 0))])}."
  }
}

# `any`, since Terraform drops what an object type does not name: a misspelt `deletion_protection` would silently leave the
# table as it is. The validations name such fields; the types are checked by module `table`.
variable "extra_tables" {
  description = <<-EOT
    Tables that belong to no system, by name: what module `table` takes (but `name` and `adopt`), `own_tags_only` as in
    `tables`, and `alarms` (false unless stated). What is not stated is as for all tables. Those that exist already also
    stand in `adopt_tables`.
  EOT
  type        = any
  nullable    = false
  default     = {}

  validation {
    condition     = can({ for name, table in var.extra_tables : name => table.hash_key.name })
    error_message = "extra_tables is a map by table name, and each table has at least a hash_key: { Orders = { hash_key = { name = \"id\", type = \"S\" } } }."
  }

  validation {
    condition     = length(setsubtract(try(flatten([for table in values(var.extra_tables) : keys(table)]), []), local.extra_table_fields.tables)) == 0
    error_message = "extra_tables: a table has no ${join(", ", setsubtract(try(flatten([for table in values(var.extra_tables) : keys(table)]), []), local.extra_table_fields.tables))}, and nothing would come of it. It has: ${join(", ", local.extra_table_fields.tables)}."
  }

  validation {
    condition     = length(setsubtract(flatten([for table in try(values(var.extra_tables), []) : [for index in try(values(table.indexes), []) : keys(index)]]), local.extra_table_fields.indexes)) == 0
    error_message = "extra_tables: an index has no ${join(", ", setsubtract(flatten([for table in try(values(var.extra_tables), []) : [for index in try(values(table.indexes), []) : keys(index)]]), local.extra_table_fields.indexes))}, and nothing would come of it. It has: ${join(", ", local.extra_table_fields.indexes)}."
  }

  validation {
    condition     = length(setintersection(try(keys(var.extra_tables), []), [for table in values(local.tables_in_use) : table.name])) == 0
    error_message = "extra_tables: DynamoDB has one table of a name, and a system has ${join(", ", setintersection(try(keys(var.extra_tables), []), [for table in values(local.tables_in_use) : table.name]))} already. For settings of a system's table use tables."
  }
}

variable "index_migrations" {
  description = <<-EOT
    Indexes of the systems that are replaced by others, by system, table and index as the system defines it, for example
    `agent_registry.agents/CapabilityIndex`. DynamoDB can't change an index, only add another and remove the old one.

    - `name`: of the new index. `range_key`, `projection_type`, `non_key_attributes`: what differs in it. Its `hash_key`
      is the old one's, since that is what the functions ask for.
    - `from`: the same of the index that is being replaced, unless it is the one that the system defines.
    - `stage`: `add`: both exist and the function reads the old one; `read`: both exist and it reads the new one; `done`:
      only the new one exists. `make migrate-index` goes through them; this entry stays afterwards.
  EOT
  nullable    = false
  default     = {}

  type = map(object({
    name               = string
    range_key          = optional(object({ name = string, type = string }))
    projection_type    = optional(string)
    non_key_attributes = optional(set(string))
    from = optional(object({
      name               = string
      range_key          = optional(object({ name = string, type = string }))
      projection_type    = optional(string)
      non_key_attributes = optional(set(string))
    }))
    stage = optional(string, "done")
  }))

  validation {
    condition     = length(setsubtract(keys(var.index_migrations), local.system_indexes)) == 0
    error_message = "index_migrations: no system defines ${join(", ", setsubtract(keys(var.index_migrations), local.system_indexes))}. Use some of: ${join(", ", local.system_indexes)}."
  }

  validation {
    condition     = alltrue([for migration in values(var.index_migrations) : contains(["add", "read", "done"], migration.stage)])
    error_message = "index_migrations: stage is add, read or done, not: ${join(", ", [for key, migration in var.index_migrations : "${key} = ${migration.stage}" if !contains(["add", "read", "done"], migration.stage)])}."
  }

  validation {
    condition = alltrue([
      for key, migration in var.index_migrations : migration.name != try(migration.from.name, split("/", key)[1])
      && !contains([for other in setsubtract(local.system_indexes, [key]) : split("/", other)[1] if split("/", other)[0] == split("/", key)[0]], migration.name)
    ])
    error_message = "index_migrations: the new index needs a name that no index of its table has; DynamoDB would refuse it, or lose the old one first. Taken: ${join(", ", [for key, migration in var.index_migrations : "${key} = ${migration.name}"])}."
  }
}

variable "adopt_table_parts" {
  description = <<-EOT
    What tables of `adopt_tables` have beside them that exists already, by table; `make adopt` writes it.

    - `autoscaling`: scaled places, such as `table read` and `index by-city write`.
    - `contributor_insights`: `table`, and `index by-city` for an index.
  EOT
  nullable    = false
  default     = {}

  type = map(object({
    autoscaling          = optional(set(string), [])
    contributor_insights = optional(set(string), [])
  }))

  validation {
    condition     = length(setsubtract(keys(var.adopt_table_parts), var.adopt_tables)) == 0
    error_message = "adopt_table_parts: only what belongs to a table of adopt_tables is taken over, and ${join(", ", setsubtract(keys(var.adopt_table_parts), var.adopt_tables))} is not there. Add it to adopt_tables, or remove it here."
  }

  validation {
    condition     = alltrue(flatten([for parts in values(var.adopt_table_parts) : [for place in parts.autoscaling : can(regex("^(table|index [a-zA-Z0-9_.-]{3,255}) (read|write)$", place))]]))
    error_message = "adopt_table_parts: autoscaling is of `table read`, `table write`, `index <name> read` or `index <name> write`; AWS has no other scalable target of a table."
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
    condition     = length(setsubtract(local.needed_functions, try(keys(jsondecode(file(startswith(var.lambda_manifest, "/") ? var.lambda_manifest : "${path.module}/${var.lambda_manifest}")).functions), local.needed_functions))) == 0
    error_message = "lambda_manifest: ${var.lambda_manifest} names no function for ${join(", ", setsubtract(local.needed_functions, try(keys(jsondecode(file(startswith(var.lambda_manifest, "/") ? var.lambda_manifest : "${path.module}/${var.lambda_manifest}")).functions), [])))}. Run `make build`."
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

variable "permissions_boundary_arn" {
  description = "Permissions boundary of every role that this stack makes: the ARN of a managed policy, or null for none. `function_defaults.permissions_boundary_arn` goes before it; in an environment's file, [github] sets it."
  type        = string
  default     = null

  validation {
    condition     = var.permissions_boundary_arn == null || can(regex("^arn:[a-z-]+:iam::([0-9]{12}|aws):policy/.+$", var.permissions_boundary_arn))
    error_message = "permissions_boundary_arn is \"${coalesce(var.permissions_boundary_arn, "null")}\": IAM wants the ARN of a managed policy (arn:…:iam::<account>:policy/<name>), and would refuse every role."
  }
}

variable "functions" {
  description = "Settings of `function_defaults` that differ for a system's function, by system, and what only a single function has: `provisioned_concurrency` and `dead_letter_arn`."
  nullable    = false
  default     = {}

  type = map(object({
    memory_megabytes        = optional(number)
    timeout_seconds         = optional(number)
    architecture            = optional(string)
    log_level               = optional(string)
    log_retention_days      = optional(number)
    reserved_concurrency    = optional(number)
    provisioned_concurrency = optional(number)
    snap_start              = optional(bool)
    tracing                 = optional(bool)
    dead_letter_arn         = optional(string)
  }))

  validation {
    condition     = length(setsubtract(keys(var.functions), local.known_systems)) == 0
    error_message = "functions: there is no system ${join(", ", setsubtract(keys(var.functions), local.known_systems))}. Use some of: ${join(", ", local.known_systems)}."
  }

  validation {
    condition     = alltrue([for function in values(var.functions) : coalesce(function.timeout_seconds, 1) >= 1 && coalesce(function.timeout_seconds, 1) <= 29])
    error_message = "functions: timeout_seconds is 1 to 29; API Gateway gives up after 30 s, and the function would work on for nobody. Given: ${join(", ", [for system, function in var.functions : "${system} = ${coalesce(function.timeout_seconds, 0)}" if !(coalesce(function.timeout_seconds, 1) >= 1 && coalesce(function.timeout_seconds, 1) <= 29)])}."
  }

  validation {
    condition     = alltrue([for function in values(var.functions) : contains(["DEBUG", "INFO", "WARNING", "ERROR"], coalesce(function.log_level, "INFO"))])
    error_message = "functions: log_level is DEBUG, INFO, WARNING or ERROR, not: ${join(", ", [for system, function in var.functions : "${system} = ${coalesce(function.log_level, "INFO")}" if !contains(["DEBUG", "INFO", "WARNING", "ERROR"], coalesce(function.log_level, "INFO"))])}."
  }
}

variable "pinned_versions" {
  description = "Versions that callers were rolled back to, by system. `make rollback` and the commands that plan set this, and lift it as soon as new code is built; nobody else should."
  type        = map(string)
  nullable    = false
  default     = {}

  validation {
    condition     = length(setsubtract(keys(var.pinned_versions), local.known_systems)) == 0
    error_message = "pinned_versions: there is no system ${join(", ", setsubtract(keys(var.pinned_versions), local.known_systems))}. Use some of: ${join(", ", local.known_systems)}."
  }

  validation {
    condition     = alltrue([for version in values(var.pinned_versions) : can(regex("^[1-9][0-9]*$", version))])
    error_message = "pinned_versions are numbers of published versions, not: ${join(", ", [for system, version in var.pinned_versions : "${system} = ${version}" if !can(regex("^[1-9][0-9]*$", version))])}. Lambda knows no other, and with $LATEST callers would get every upload before it is published."
  }
}

# API

variable "api_auth" {
  description = "Who may call the API: `iam` (signed requests of principals that have execute-api:Invoke), `jwt` (who sends a token of the issuer in `api_jwt`) or `none` (anybody; in environment local only)."
  type        = string
  nullable    = false
  default     = "iam"

  validation {
    condition     = contains(["iam", "jwt", "none"], var.api_auth)
    error_message = "api_auth is \"${var.api_auth}\": use iam, jwt or none."
  }

  validation {
    condition     = var.api_auth != "none" || var.environment == "local"
    error_message = "api_auth is none in environment \"${var.environment}\": API Gateway would let anybody on the internet read and write the agents' state. none is for environment local; use iam or jwt."
  }
}

variable "api_jwt" {
  description = <<-EOT
    Whose tokens open the API, with `api_auth` jwt, and what they must say. `token_claims` names the claims that tell
    tenant and user.

    - `issuer`: the URL of an OpenID Connect issuer, as tokens have it in `iss`; or `cognito`.
    - `audiences`: of which a token must be for one (`aud`, or `client_id` where there is no `aud`).
    - `scopes`: of which a token must have one, by system, and there by `read` and `write` or by a route, which goes
      before: `{ agent_profiles = { read = ["profiles:read"], "POST /match" = ["profiles:match"] } }`. Unless stated it
      is `<scope_prefix><system>.read` for what reads, and `<scope_prefix><system>.write` for the rest. `[]` asks for
      none: every good token will do.
    - `scope_prefix`: null for none, or with `cognito` for `<name_prefix>-<environment>/`.
    - `cognito`: makes a user pool, whose users are callers, agents as well as people; `{}` suffices. It stays while this
      is here, whatever `api_auth` says, and `deletion_protection` goes for it, too. `access_token_minutes`,
      `refresh_token_days`; `sign_in_page`: Cognito's page for browsers, with `domain_prefix`, `callback_urls` and
      `logout_urls`.
  EOT
  nullable    = false
  default     = {}

  type = object({
    issuer       = optional(string)
    audiences    = optional(set(string), [])
    scopes       = optional(map(map(set(string))), {})
    scope_prefix = optional(string)

    cognito = optional(object({
      access_token_minutes = optional(number, 60)
      refresh_token_days   = optional(number, 30)
      sign_in_page = optional(object({
        domain_prefix = string
        callback_urls = set(string)
        logout_urls   = optional(set(string), [])
      }))
    }))
  })

  validation {
    condition     = var.api_auth != "jwt" || (var.api_jwt.issuer == null) != (var.api_jwt.cognito == null)
    error_message = "api_auth is jwt, and api_jwt says whose tokens are good, by one of issuer (any OpenID Connect issuer) and cognito (a user pool that this stack makes, {} suffices); with ${var.api_jwt.issuer == null ? "none" : "both"} API Gateway could not judge them."
  }

  validation {
    condition     = var.api_jwt.issuer == null || can(regex(var.environment == "local" ? "^https?://[^/?#@ ]+(/[^?# ]*)?$" : "^https://[^/?#@ ]+(/[^?# ]*)?$", var.api_jwt.issuer)) && !strcontains(coalesce(var.api_jwt.issuer, "-"), "/.well-known/")
    error_message = "api_jwt.issuer is \"${coalesce(var.api_jwt.issuer, "null")}\": give the https URL that tokens have in iss (http only in environment local), without /.well-known/…; API Gateway reads the issuer's keys there, and makes no authorizer where it can't."
  }

  validation {
    condition     = var.api_jwt.issuer == null || length(var.api_jwt.audiences) >= 1
    error_message = "api_jwt.audiences is empty: tokens that the issuer made for any other API would open this one, so API Gateway asks for at least one. Give what tokens for this API have in aud (or client_id)."
  }

  validation {
    condition     = length(var.api_jwt.audiences) <= (var.api_jwt.cognito == null ? 50 : 49) && alltrue([for audience in var.api_jwt.audiences : can(regex("^[^ ]+$", audience))])
    error_message = "api_jwt.audiences: API Gateway takes up to 50 (the user pool's client is one), and none with blanks. Given: ${join(", ", var.api_jwt.audiences)}."
  }

  validation {
    condition     = length(setsubtract(keys(var.api_jwt.scopes), local.known_systems)) == 0
    error_message = "api_jwt.scopes: there is no system ${join(", ", setsubtract(keys(var.api_jwt.scopes), local.known_systems))}. Use some of: ${join(", ", local.known_systems)}."
  }

  validation {
    condition     = length(setsubtract(flatten([for system, scopes in var.api_jwt.scopes : [for key in keys(scopes) : "${system} ${key}"]]), concat(local.contract_routes, [for system in local.known_systems : "${system} read"], [for system in local.known_systems : "${system} write"]))) == 0
    error_message = "api_jwt.scopes are those of read, write, or a route of the system, and nothing would ask for: ${join(", ", setsubtract(flatten([for system, scopes in var.api_jwt.scopes : [for key in keys(scopes) : "${system} ${key}"]]), concat(local.contract_routes, [for system in local.known_systems : "${system} read"], [for system in local.known_systems : "${system} write"])))}. The routes are: ${join(", ", local.contract_routes)}."
  }

  validation {
    condition     = alltrue(flatten([for scopes in values(var.api_jwt.scopes) : [for names in values(scopes) : length(names) <= 10 && alltrue([for name in names : can(regex("^[\\x21\\x23-\\x5b\\x5d-\\x7e]{1,256}$", name))])]]))
    error_message = "api_jwt.scopes: API Gateway takes up to 10 scopes a route; blanks, quotes and backslashes are in none, since a token's scopes are separated by blanks."
  }

  validation {
    condition     = var.api_jwt.scope_prefix == null || can(regex("^[\\x21\\x23-\\x5b\\x5d-\\x7e]{0,200}$", var.api_jwt.scope_prefix))
    error_message = "api_jwt.scope_prefix is \"${try(coalesce(var.api_jwt.scope_prefix), "")}\": it becomes part of scopes, which have no blanks, quotes or backslashes."
  }

  validation {
    condition     = var.api_jwt.cognito == null || (var.api_jwt.scope_prefix == null || var.api_jwt.scope_prefix == "${var.name_prefix}-${var.environment}/")
    error_message = "api_jwt.scope_prefix is \"${try(coalesce(var.api_jwt.scope_prefix), "")}\", but scopes of the user pool begin with ${var.name_prefix}-${var.environment}/: no token would have the others. Leave it out."
  }

  # https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-pre-token-generation.html
  validation {
    condition     = var.api_jwt.cognito == null || !can(regex("^(acr|amr|at_hash|auth_time|aud|azp|client_id|device_key|event_id|exp|iat|identities|iss|jti|nbf|nonce|origin_jti|scope|sub|token_use|username|version)$|^(aws|cognito|dev|custom):", var.token_claims.tenant))
    error_message = "token_claims.tenant is \"${var.token_claims.tenant}\", a claim that Cognito keeps to itself: its tokens would name no tenant. Use another with api_jwt.cognito, such as tenantId."
  }

  validation {
    condition     = var.api_jwt.cognito == null || contains(["sub", "username"], var.token_claims.user)
    error_message = "token_claims.user is \"${var.token_claims.user}\": with api_jwt.cognito use sub or username, which Cognito's access tokens have; every token would be refused otherwise."
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
    - `tables`: `read_throttle_events`, `write_throttle_events`, `system_errors`, `conditional_check_failures`,
      `consumed_capacity_percent` (of what is provisioned).
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
      consumed_capacity_percent  = optional(number, 80)
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
    - `query_milliseconds`: 95th percentile of 50 warm queries, each as long as it took in the function (the way there
      is the operator's own). It counts as exceeded only if three such rounds, one after the other, all exceed it.
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

# Backups, and the way to the tables

variable "backup" {
  description = <<-EOT
    Backups of the tables by AWS Backup, in a vault of their own, beside point-in-time recovery; null for none.

    - `name`: of vault, plan and role; null for `<name_prefix>-<environment>-backup`.
    - `exclude`: tables that are left out, as `<system>.<table>` or by the names in `extra_tables`; the idempotency
      markers always are.
    - `rules`: when, and how long they stay, by a name of your choice: `schedule` (`cron(…)`, in UTC),
      `start_window_minutes`, `completion_window_minutes`, `delete_after_days` (null for never),
      `cold_storage_after_days` (null for never), `copy_to_vault_arns` (vaults of other regions or accounts). Null for
      daily backups that stay 35 days, and monthly ones that stay a year.
    - `lock`: nobody deletes a backup before its time: `min_retention_days`, `max_retention_days`, and
      `changeable_for_days`, after which nobody can take the lock off any more, AWS included. Leave that out first.
    - `kms_key_arn`: key of the vault; null for the account's `aws/backup` key.
    - `role_arn`: a role that makes the backups; null to make one.

    Failed jobs are told to the topic of the alarms. Cold storage and copies need DynamoDB's advanced backup features,
    which an account's region settings of AWS Backup opt into.
  EOT
  default     = null

  type = object({
    name    = optional(string)
    exclude = optional(set(string), [])
    rules = optional(map(object({
      schedule                  = string
      start_window_minutes      = optional(number)
      completion_window_minutes = optional(number)
      delete_after_days         = optional(number)
      cold_storage_after_days   = optional(number)
      copy_to_vault_arns        = optional(set(string))
    })))
    lock = optional(object({
      min_retention_days  = optional(number, 7)
      max_retention_days  = optional(number)
      changeable_for_days = optional(number)
    }))
    kms_key_arn = optional(string)
    role_arn    = optional(string)
  })

  validation {
    condition     = length(setsubtract(try(var.backup.exclude, []), local.backup_names)) == 0
    error_message = "backup.exclude: there is no table ${join(", ", setsubtract(try(var.backup.exclude, []), local.backup_names))}, so it would be backed up all the same. Use some of: ${join(", ", local.backup_names)}."
  }
}

variable "dynamodb_vpc_endpoint" {
  description = <<-EOT
    A gateway endpoint by which a VPC reaches the tables without the internet; null for none.

    - `vpc_id`, `route_table_ids`: the VPC, and the route tables of the subnets that take this way.
    - `other_table_arns`: tables that are not of this stack, which these subnets must still reach: the endpoint refuses
      all that is not named, and a route table has one such endpoint only.
    - `actions`: what may be done by this way; null for reading and writing items, and for asking what a table is.
  EOT
  default     = null

  type = object({
    vpc_id           = string
    route_table_ids  = set(string)
    other_table_arns = optional(set(string), [])
    actions          = optional(set(string))
  })

  validation {
    condition     = var.dynamodb_vpc_endpoint == null || length(var.systems) + length(var.extra_tables) > 0
    error_message = "dynamodb_vpc_endpoint leads to this stack's tables, and systems = [] has none: the endpoint would refuse everything. Remove it, or switch a system on."
  }
}
