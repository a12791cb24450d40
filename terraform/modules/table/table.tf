locals {
  keys = concat(
    [var.table.hash_key],
    var.table.range_key == null ? [] : [var.table.range_key],
    flatten([for index in var.table.indexes : concat([index.hash_key], index.range_key == null ? [] : [index.range_key])]),
  )

  types_by_key     = { for key in local.keys : key.name => key.type... }
  conflicting_keys = [for name, types in local.types_by_key : "${name} (${join(", ", distinct(types))})" if length(distinct(types)) > 1]
  keys_used_twice = concat(
    try(var.table.hash_key.name == var.table.range_key.name, false) ? ["table"] : [],
    [for name, index in var.table.indexes : name if try(index.hash_key.name == index.range_key.name, false)],
  )

  # DynamoDB keeps replicas alike by the table's stream.
  stream_view_type = length(var.table.replicas) > 0 ? "NEW_AND_OLD_IMAGES" : var.table.stream_view_type

  table_tags = var.table.table_tags == null ? var.table.tags : var.table.table_tags

  # A key whose own policy lets its users in needs no statement; one that is yet to be made would hide whole policies.
  customer_key = var.table.encryption.type == "CUSTOMER_MANAGED" && !var.table.encryption.granted_by_key
}

resource "aws_dynamodb_table" "this" {
  #checkov:skip=CKV_AWS_119:the key is the caller's choice (encryption.type); AWS-owned keys encrypt at rest too and cost nothing
  #checkov:skip=CKV_AWS_28:on by default with 35 days; a caller may switch it off for data that can be made again
  #checkov:skip=CKV2_AWS_16:autoscaling only makes sense with provisioned capacity, and there it is the caller's choice
  name           = var.table.name
  billing_mode   = var.table.billing_mode
  read_capacity  = local.units["table"].read
  write_capacity = local.units["table"].write
  hash_key       = var.table.hash_key.name
  range_key      = try(var.table.range_key.name, null)
  table_class    = var.table.table_class

  deletion_protection_enabled = var.table.deletion_protection

  # Derived from the keys: DynamoDB refuses an attribute that no key uses, and a key without its attribute.
  dynamic "attribute" {
    for_each = local.types_by_key
    content {
      name = attribute.key
      type = attribute.value[0]
    }
  }

  dynamic "global_secondary_index" {
    for_each = var.table.indexes
    content {
      name     = global_secondary_index.key
      hash_key = global_secondary_index.value.hash_key.name
      # Not null: the provider keeps "", and would show an index that stays among those that go and come.
      range_key          = try(global_secondary_index.value.range_key.name, "")
      projection_type    = global_secondary_index.value.projection_type
      non_key_attributes = global_secondary_index.value.projection_type == "INCLUDE" ? global_secondary_index.value.non_key_attributes : null
      read_capacity      = local.units["index ${global_secondary_index.key}"].read
      write_capacity     = local.units["index ${global_secondary_index.key}"].write

      dynamic "on_demand_throughput" {
        for_each = global_secondary_index.value.on_demand_throughput[*]
        content {
          max_read_request_units  = on_demand_throughput.value.max_read_request_units
          max_write_request_units = on_demand_throughput.value.max_write_request_units
        }
      }
    }
  }

  dynamic "on_demand_throughput" {
    for_each = var.table.on_demand_throughput[*]
    content {
      max_read_request_units  = on_demand_throughput.value.max_read_request_units
      max_write_request_units = on_demand_throughput.value.max_write_request_units
    }
  }

  point_in_time_recovery {
    enabled                 = var.table.point_in_time_recovery_days != 0
    recovery_period_in_days = var.table.point_in_time_recovery_days != 0 ? var.table.point_in_time_recovery_days : null
  }

  # Always stated: a block that vanishes from the configuration would leave the old key in place.
  server_side_encryption {
    enabled     = var.table.encryption.type != "AWS_OWNED"
    kms_key_arn = var.table.encryption.kms_key_arn
  }

  dynamic "ttl" {
    for_each = var.table.ttl[*]
    content {
      attribute_name = ttl.value.attribute
      enabled        = ttl.value.enabled
    }
  }

  stream_enabled   = local.stream_view_type != null
  stream_view_type = local.stream_view_type

  # In the table itself: as resources of their own, replicas need a provider for each region, and regions would be code.
  dynamic "replica" {
    for_each = var.table.replicas
    content {
      region_name            = replica.key
      kms_key_arn            = replica.value.kms_key_arn
      point_in_time_recovery = replica.value.point_in_time_recovery
      propagate_tags         = replica.value.propagate_tags
    }
  }

  tags = local.table_tags

  # An index of a table with much in it is filled for hours. Longer than 12 no role's session lasts; the default of one
  # hour would fail the apply while DynamoDB goes on.
  # What a validation of the variable can't express, since it may not use locals.
  lifecycle {
    # Nobody loses data by taking a table over: a table's keys can't change but by making it anew.
    precondition {
      condition     = !var.table.adopt || alltrue([for keys in local.existing_keys : keys == local.declared_keys])
      error_message = "Table ${var.table.name} exists with other keys, ${join("", local.existing_keys)} instead of ${local.declared_keys}: adopting it would destroy it and its data, and make it anew. Copy its items into a new table of another name."
    }

    precondition {
      condition     = alltrue([for key in local.keys : contains(["S", "N", "B"], key.type)])
      error_message = "A key attribute can only be S (string), N (number) or B (binary), and DynamoDB refuses the table otherwise. Wrong: ${join(", ", [for key in local.keys : "${key.name} = ${key.type}" if !contains(["S", "N", "B"], key.type)])}."
    }

    precondition {
      condition     = length(local.conflicting_keys) == 0
      error_message = "One attribute has one type in all keys; DynamoDB refuses the table otherwise. Conflicting: ${join(", ", local.conflicting_keys)}."
    }

    precondition {
      condition     = length(local.keys_used_twice) == 0
      error_message = "A hash key and a range key must be different attributes; DynamoDB refuses the table otherwise. The same in: ${join(", ", local.keys_used_twice)}."
    }

    precondition {
      condition     = var.table.billing_mode != "PROVISIONED" || alltrue([for unit in values(local.capacity) : try(unit.units >= 1, false)])
      error_message = "PROVISIONED billing needs read_capacity and write_capacity of at least 1 on the table (indexes take the same unless they state their own); DynamoDB refuses the table otherwise. Missing: ${join(", ", [for key, unit in local.capacity : key if !try(unit.units >= 1, false)])}."
    }

    precondition {
      condition     = var.table.billing_mode != "PAY_PER_REQUEST" || alltrue([for unit in values(local.capacity) : unit.units == null && unit.scaling == null])
      error_message = "Capacity and autoscaling have no meaning with PAY_PER_REQUEST, and DynamoDB refuses them. Remove them from: ${join(", ", [for key, unit in local.capacity : key if unit.units != null || unit.scaling != null])}; or set billing_mode = \"PROVISIONED\"."
    }

    precondition {
      condition     = var.table.billing_mode == "PAY_PER_REQUEST" || alltrue([for throughput in values(local.on_demand_throughput) : throughput == null])
      error_message = "on_demand_throughput limits PAY_PER_REQUEST billing, and DynamoDB refuses it with PROVISIONED. Remove it from: ${join(", ", [for place, throughput in local.on_demand_throughput : place if throughput != null])}."
    }

    precondition {
      condition     = !contains(keys(var.table.replicas), local.region)
      error_message = "table.replicas names ${local.region}, where the table itself is: DynamoDB refuses a replica beside it. Remove it."
    }

    precondition {
      condition     = length(var.table.replicas) == 0 || var.table.billing_mode == "PAY_PER_REQUEST" || alltrue([for unit in values(local.capacity) : unit.scaling != null if unit.kind == "write"])
      error_message = "A table with replicas has PAY_PER_REQUEST billing, or autoscaled writes of table and every index: each replica takes the writes of all, and DynamoDB refuses fixed capacity. Not autoscaled: ${join(", ", [for key, unit in local.capacity : key if unit.kind == "write" && unit.scaling == null])}."
    }

    precondition {
      condition     = alltrue([for unit in values(local.scaled) : try(unit.min >= 1 && unit.min <= unit.units && unit.units <= unit.max, false)])
      error_message = "autoscaling moves capacity between min and max, and begins at the capacity stated: 1 <= min <= capacity <= max. Wrong: ${join(", ", [for key, unit in local.scaled : "${key} (min ${coalesce(unit.min, 0)}, capacity ${coalesce(unit.units, 0)}, max ${unit.max})" if !try(unit.min >= 1 && unit.min <= unit.units && unit.units <= unit.max, false)])}."
    }

    precondition {
      condition     = alltrue([for unit in values(local.scaled) : unit.target_percent >= 20 && unit.target_percent <= 90])
      error_message = "autoscaling takes a target_percent of 20 to 90; AWS refuses others. Wrong: ${join(", ", [for key, unit in local.scaled : "${key} = ${unit.target_percent}" if !(unit.target_percent >= 20 && unit.target_percent <= 90)])}."
    }

    precondition {
      condition     = var.table.ttl == null || !contains([for key in local.keys : key.name if key.type != "N"], try(var.table.ttl.attribute, ""))
      error_message = "table.ttl.attribute \"${try(var.table.ttl.attribute, "")}\" is a key that is not a number: TTL reads epoch seconds from a number (N), so DynamoDB would never expire anything."
    }
  }
}
