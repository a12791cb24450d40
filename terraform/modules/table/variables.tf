variable "table" {
  description = <<-EOT
    The table and all that belongs to it.

    - `name`: table name, unique in the account and region.
    - `hash_key`, `range_key`: key attributes as `{ name, type }`, type `S`, `N` or `B`.
    - `indexes`: global secondary indexes by name: keys, `projection_type` (`ALL`, `KEYS_ONLY`, `INCLUDE`),
      `non_key_attributes` (with `INCLUDE` only), capacity (with `PROVISIONED` only).
    - `billing_mode`: `PAY_PER_REQUEST` or `PROVISIONED`; the latter needs `read_capacity` and `write_capacity`, which
      are each index's, too, unless it states its own.
    - `autoscaling`: lets AWS move `read` and `write` capacity (either or both) between `min` (the capacity itself unless
      stated) and `max`, so that `target_percent` (20 to 90) of it is used. An index that states nothing of capacity is
      scaled as the table is, one that states its capacity or `{}` is not.
    - `on_demand_throughput`, of the table and of each index: the most that `PAY_PER_REQUEST` may use and cost,
      `max_read_request_units` and `max_write_request_units` a second, either or both; beyond, DynamoDB throttles. To
      take a maximum off set it to -1: DynamoDB keeps one that is merely no longer stated.
    - `point_in_time_recovery_days`: how far back the table can be restored, 1 to 35; 0 switches recovery off.
    - `ttl`: attribute holding the expiry in epoch seconds. To stop expiry keep the attribute and set
      `enabled = false`: DynamoDB wants its name to switch it off, and the provider ignores a block that vanished.
    - `encryption`: `AWS_OWNED` (free), `AWS_MANAGED` (`aws/dynamodb` key) or `CUSTOMER_MANAGED` with `kms_key_arn`.
      `granted_by_key`: the key's own policy lets its users in (as module `kms_key` does), so no document names the key.
    - `stream_view_type`: `KEYS_ONLY`, `NEW_IMAGE`, `OLD_IMAGE` or `NEW_AND_OLD_IMAGES`; null for no stream.
    - `deletion_protection`: DynamoDB then refuses to delete the table, whoever asks.
    - `table_class`: `STANDARD` or `STANDARD_INFREQUENT_ACCESS`.
    - `contributor_insights`, of the table, and of each index unless it says otherwise: CloudWatch counts the keys that
      are used and throttled most.
    - `resource_policy`: who may use the table beyond this account's IAM, as JSON; null for no such policy.
    - `replicas`: copies in other regions, by region: `point_in_time_recovery` (35 days), `kms_key_arn` (a key of that
      region, with `CUSTOMER_MANAGED`), `propagate_tags`. They need on-demand billing or autoscaled writes, and make the
      stream `NEW_AND_OLD_IMAGES`.
    - `tags`: tags of all that is made here. `table_tags`: those of the table itself, unless they are the same.
    - `adopt`: the table exists and its caller imports it (`import` blocks stand in root modules). A plan that would have to replace it is refused.
  EOT
  nullable    = false

  type = object({
    name      = string
    hash_key  = object({ name = string, type = string })
    range_key = optional(object({ name = string, type = string }))

    indexes = optional(map(object({
      hash_key           = object({ name = string, type = string })
      range_key          = optional(object({ name = string, type = string }))
      projection_type    = optional(string, "ALL")
      non_key_attributes = optional(set(string), [])
      read_capacity      = optional(number)
      write_capacity     = optional(number)
      autoscaling = optional(object({
        read  = optional(object({ min = optional(number), max = number, target_percent = optional(number, 70) }))
        write = optional(object({ min = optional(number), max = number, target_percent = optional(number, 70) }))
      }))
      on_demand_throughput = optional(object({ max_read_request_units = optional(number), max_write_request_units = optional(number) }))
      contributor_insights = optional(bool)
    })), {})

    billing_mode   = optional(string, "PAY_PER_REQUEST")
    read_capacity  = optional(number)
    write_capacity = optional(number)
    autoscaling = optional(object({
      read  = optional(object({ min = optional(number), max = number, target_percent = optional(number, 70) }))
      write = optional(object({ min = optional(number), max = number, target_percent = optional(number, 70) }))
    }), {})
    on_demand_throughput = optional(object({ max_read_request_units = optional(number), max_write_request_units = optional(number) }))

    point_in_time_recovery_days = optional(number, 35)
    ttl                         = optional(object({ attribute = string, enabled = optional(bool, true) }))
    encryption                  = optional(object({ type = optional(string, "AWS_OWNED"), kms_key_arn = optional(string), granted_by_key = optional(bool, false) }), {})
    stream_view_type            = optional(string)
    deletion_protection         = optional(bool, true)
    table_class                 = optional(string, "STANDARD")
    contributor_insights        = optional(bool, false)
    resource_policy             = optional(string)
    tags                        = optional(map(string), {})
    table_tags                  = optional(map(string))
    adopt                       = optional(bool, false)

    replicas = optional(map(object({
      point_in_time_recovery = optional(bool, true)
      kms_key_arn            = optional(string)
      propagate_tags         = optional(bool, true)
    })), {})
  })

  validation {
    condition     = can(regex("^[a-zA-Z0-9_.-]{3,255}$", var.table.name))
    error_message = "table.name is \"${var.table.name}\": DynamoDB takes 3 to 255 letters, digits, '_', '.' and '-', and refuses to create the table otherwise."
  }

  validation {
    condition     = length(var.table.indexes) <= 20
    error_message = "table.indexes has ${length(var.table.indexes)} indexes: DynamoDB's default quota is 20 a table, and it refuses the table beyond."
  }

  validation {
    condition     = alltrue([for name in keys(var.table.indexes) : can(regex("^[a-zA-Z0-9_.-]{3,255}$", name))])
    error_message = "An index name is 3 to 255 letters, digits, '_', '.' and '-'; DynamoDB refuses: ${join(", ", [for name in keys(var.table.indexes) : "\"${name}\"" if !can(regex("^[a-zA-Z0-9_.-]{3,255}$", name))])}."
  }

  validation {
    condition     = alltrue([for index in var.table.indexes : contains(["ALL", "KEYS_ONLY", "INCLUDE"], index.projection_type)])
    error_message = "projection_type of an index is ALL, KEYS_ONLY or INCLUDE; DynamoDB refuses: ${join(", ", [for name, index in var.table.indexes : "${name} = ${index.projection_type}" if !contains(["ALL", "KEYS_ONLY", "INCLUDE"], index.projection_type)])}."
  }

  validation {
    condition     = alltrue([for index in var.table.indexes : (index.projection_type == "INCLUDE") == (length(index.non_key_attributes) > 0)])
    error_message = "non_key_attributes goes with projection_type INCLUDE, and INCLUDE needs at least one; DynamoDB refuses the index otherwise. Wrong: ${join(", ", [for name, index in var.table.indexes : name if(index.projection_type == "INCLUDE") != (length(index.non_key_attributes) > 0)])}."
  }

  validation {
    condition     = var.table.ttl == null || can(regex("^.{1,255}$", var.table.ttl.attribute))
    error_message = "table.ttl.attribute is \"${try(var.table.ttl.attribute, "")}\": DynamoDB wants a name of 1 to 255 characters, also to switch expiry off."
  }

  validation {
    condition     = contains(["AWS_OWNED", "AWS_MANAGED", "CUSTOMER_MANAGED"], var.table.encryption.type)
    error_message = "table.encryption.type is \"${var.table.encryption.type}\": use AWS_OWNED, AWS_MANAGED or CUSTOMER_MANAGED."
  }

  validation {
    condition     = (var.table.encryption.type == "CUSTOMER_MANAGED") == (var.table.encryption.kms_key_arn != null)
    error_message = "table.encryption.kms_key_arn goes with type CUSTOMER_MANAGED and with no other (type is \"${var.table.encryption.type}\"): DynamoDB would encrypt with another key than you expect."
  }

  validation {
    condition     = var.table.encryption.kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.table.encryption.kms_key_arn))
    error_message = "table.encryption.kms_key_arn is \"${coalesce(var.table.encryption.kms_key_arn, "null")}\": give the key's ARN (arn:…:kms:<region>:<account>:key/<id>); policies can't be written for an alias or a bare id."
  }

  validation {
    condition     = var.table.stream_view_type == null || contains(["KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES"], coalesce(var.table.stream_view_type, "-"))
    error_message = "table.stream_view_type is \"${coalesce(var.table.stream_view_type, "null")}\": DynamoDB knows KEYS_ONLY, NEW_IMAGE, OLD_IMAGE and NEW_AND_OLD_IMAGES (null for no stream)."
  }

  validation {
    condition     = contains(["STANDARD", "STANDARD_INFREQUENT_ACCESS"], var.table.table_class)
    error_message = "table.table_class is \"${var.table.table_class}\": DynamoDB knows STANDARD and STANDARD_INFREQUENT_ACCESS."
  }

  validation {
    condition = alltrue([
      for throughput in concat(var.table.on_demand_throughput[*], flatten([for index in var.table.indexes : index.on_demand_throughput[*]])) :
      length([for units in [throughput.max_read_request_units, throughput.max_write_request_units] : units if units != null]) > 0
      && alltrue([for units in [throughput.max_read_request_units, throughput.max_write_request_units] : units == null || try(units == -1 || units >= 1 && floor(units) == units, false)])
    ])
    error_message = "on_demand_throughput has max_read_request_units, max_write_request_units or both: whole units a second of at least 1, or -1 to take a maximum off. DynamoDB refuses others."
  }

  validation {
    condition     = alltrue([for region in keys(var.table.replicas) : can(regex("^[a-z]{2,}(-[a-z]+)+-[0-9]$", region))])
    error_message = "table.replicas goes by region, such as eu-north-1; no region is called: ${join(", ", [for region in keys(var.table.replicas) : region if !can(regex("^[a-z]{2,}(-[a-z]+)+-[0-9]$", region))])}."
  }

  validation {
    condition     = alltrue([for region, replica in var.table.replicas : var.table.encryption.type == "CUSTOMER_MANAGED" ? can(regex("^arn:[a-z-]+:kms:${region}:[0-9]{12}:key/.+$", replica.kms_key_arn)) : replica.kms_key_arn == null])
    error_message = "table.replicas: with encryption CUSTOMER_MANAGED each replica has a kms_key_arn of its own region (arn:…:kms:<region>:<account>:key/<id>), with any other none; DynamoDB refuses a replica that is encrypted in another way than its table. Wrong: ${join(", ", [for region, replica in var.table.replicas : "${region} = ${coalesce(replica.kms_key_arn, "null")}" if !(var.table.encryption.type == "CUSTOMER_MANAGED" ? can(regex("^arn:[a-z-]+:kms:${region}:[0-9]{12}:key/.+$", replica.kms_key_arn)) : replica.kms_key_arn == null)])}."
  }

  validation {
    condition     = length(var.table.replicas) == 0 || contains(["-", "NEW_AND_OLD_IMAGES"], coalesce(var.table.stream_view_type, "-"))
    error_message = "table.stream_view_type is ${coalesce(var.table.stream_view_type, "null")}: a table with replicas has a stream of NEW_AND_OLD_IMAGES, by which DynamoDB keeps them alike. Leave it null, or state that."
  }

  validation {
    condition     = var.table.resource_policy == null || can(jsondecode(var.table.resource_policy).Statement)
    error_message = "table.resource_policy is not a policy document: give JSON with Version and Statement, for example by jsonencode; DynamoDB refuses anything else."
  }

  validation {
    condition = var.table.resource_policy == null || length([
      for statement in try(flatten([jsondecode(var.table.resource_policy).Statement]), []) : statement
      if try(statement.Effect, "") == "Allow" && !can(statement.Condition) && contains(try(flatten([statement.Principal.AWS]), flatten([try(statement.Principal, "")])), "*")
    ]) == 0
    error_message = "table.resource_policy allows something to everybody (Principal \"*\" without a Condition): DynamoDB blocks public access and refuses such a policy. Name accounts, roles or services, or add a Condition such as aws:PrincipalOrgID."
  }
}

variable "alarms" {
  description = <<-EOT
    Alarms of the table. Each number is how many events in one period raise the alarm; 0 leaves that alarm out.

    - `enabled`: false makes none.
    - `actions`, `ok_actions`: ARNs told when an alarm goes off and when it is over.
    - `period_seconds`: length of a period.
    - `read_throttle_events`, `write_throttle_events`: throttled reads and writes, of the table and of each index.
    - `system_errors`: DynamoDB's own faults (HTTP 500), one alarm for each of `system_error_operations`: the metric
      exists by operation only, so name the operations that are really called.
    - `conditional_check_failures`: writes refused by their condition. Normal where conditions guard against
      overwriting, hence off.
    - `consumed_capacity_percent`: how much of the provisioned capacity is used in a period, of table and each index; of
      `max` where capacity is autoscaled; of the maximum of `on_demand_throughput`. Where there is no limit there is no
      such alarm.
  EOT
  nullable    = false
  default     = {}

  type = object({
    enabled                    = optional(bool, true)
    actions                    = optional(set(string), [])
    ok_actions                 = optional(set(string), [])
    period_seconds             = optional(number, 300)
    read_throttle_events       = optional(number, 1)
    write_throttle_events      = optional(number, 1)
    system_errors              = optional(number, 1)
    system_error_operations    = optional(set(string), ["GetItem", "PutItem", "Query", "UpdateItem", "DeleteItem"])
    conditional_check_failures = optional(number, 0)
    consumed_capacity_percent  = optional(number, 80)
  })

  validation {
    condition     = contains([60, 300, 900, 3600], var.alarms.period_seconds)
    error_message = "alarms.period_seconds is ${var.alarms.period_seconds}: use 60, 300, 900 or 3600; DynamoDB reports once a minute, and CloudWatch refuses an alarm on anything finer."
  }

  validation {
    condition     = alltrue([for number in [var.alarms.read_throttle_events, var.alarms.write_throttle_events, var.alarms.system_errors, var.alarms.conditional_check_failures, var.alarms.consumed_capacity_percent] : number >= 0])
    error_message = "An alarm threshold can't be negative: the alarm would never be over. Use 0 to leave an alarm out."
  }

  validation {
    condition     = length(setsubtract(var.alarms.system_error_operations, local.data_operations)) == 0
    error_message = "alarms.system_error_operations: DynamoDB has no metric for ${join(", ", setsubtract(var.alarms.system_error_operations, local.data_operations))}, so the alarm could never go off. Use some of: ${join(", ", local.data_operations)}."
  }
}
