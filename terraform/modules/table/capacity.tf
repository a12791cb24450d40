# Provisioned capacity, fixed or autoscaled.

locals {
  places = merge(
    { table = { read_capacity = var.table.read_capacity, write_capacity = var.table.write_capacity, autoscaling = var.table.autoscaling } },
    # What an index leaves open is as the table has it: so the table's billing can change without a word about its indexes.
    { for name, index in var.table.indexes : "index ${name}" => {
      read_capacity  = try(coalesce(index.read_capacity, var.table.read_capacity), null)
      write_capacity = try(coalesce(index.write_capacity, var.table.write_capacity), null)
      autoscaling    = index.autoscaling != null ? index.autoscaling : index.read_capacity == null && index.write_capacity == null ? var.table.autoscaling : { read = null, write = null }
    } },
  )

  # One entry for each number that DynamoDB knows: `table read`, `index ByJob write` and so on.
  capacity = merge([
    for place, stated in local.places : {
      "${place} read"  = { place = place, kind = "read", units = stated.read_capacity, scaling = stated.autoscaling.read }
      "${place} write" = { place = place, kind = "write", units = stated.write_capacity, scaling = stated.autoscaling.write }
    }
  ]...)

  scaled = {
    for key, unit in local.capacity : key => merge(unit, {
      min            = try(coalesce(unit.scaling.min, unit.units), null)
      max            = unit.scaling.max
      target_percent = unit.scaling.target_percent
    }) if unit.scaling != null
  }
}

# The most that may be used of each number, beyond which DynamoDB throttles: what is provisioned, what the scaler may
# provide, or the maximum of on-demand throughput.
locals {
  on_demand_throughput = merge(
    { table = var.table.on_demand_throughput },
    { for name, index in var.table.indexes : "index ${name}" => index.on_demand_throughput },
  )

  on_demand_limits = merge([
    for place, throughput in local.on_demand_throughput : {
      "${place} read"  = try(throughput.max_read_request_units, null)
      "${place} write" = try(throughput.max_write_request_units, null)
    }
  ]...)

  limits = {
    for key, unit in local.capacity : key => merge(unit, var.table.billing_mode == "PAY_PER_REQUEST" ? {
      most   = local.on_demand_limits[key]
      limit  = "maximum of on-demand throughput"
      remedy = "Raise the maximum."
      } : {
      most   = try(local.scaled[key].max, unit.units)
      limit  = unit.scaling == null ? "provisioned capacity" : "most that autoscaling may provide"
      remedy = "Raise the capacity, or its maximum."
    })
  }
}

# The scaler moves the numbers after the apply, and the next plan must not move them back. `ignore_changes` can't be
# switched on and off, and would hide every other change of an index, too. So where something is scaled, what the table
# has now is what is planned.
locals {
  # 0 stands for none: the table, the index or its provisioned capacity is yet to be made.
  present = merge([
    for table in data.aws_dynamodb_table.existing : merge(
      { "table read" = table.read_capacity, "table write" = table.write_capacity },
      { for index in table.global_secondary_index : "index ${index.name} read" => index.read_capacity },
      { for index in table.global_secondary_index : "index ${index.name} write" => index.write_capacity },
    )
  ]...)

  planned = merge(
    { for key, unit in local.capacity : key => unit.units if unit.scaling == null },
    # What is wrong with min and max is told by the preconditions of the table.
    { for key, unit in local.scaled : key => try(
      lookup(local.present, key, 0) > 0 ? min(unit.max, max(unit.min, local.present[key])) : unit.units, unit.units
    ) },
  )

  units          = { for place in keys(local.places) : place => { read = local.planned["${place} read"], write = local.planned["${place} write"] } }
  declared_units = { for place in keys(local.places) : place => { for kind in ["read", "write"] : kind => local.capacity["${place} ${kind}"].scaling == null ? local.capacity["${place} ${kind}"].units : null } }
}

resource "aws_appautoscaling_target" "this" {
  for_each = local.scaled

  service_namespace  = "dynamodb"
  resource_id        = join("/", concat(["table", aws_dynamodb_table.this.name], each.value.place == "table" ? [] : split(" ", each.value.place)))
  scalable_dimension = "dynamodb:${split(" ", each.value.place)[0]}:${title(each.value.kind)}CapacityUnits"
  min_capacity       = each.value.min
  max_capacity       = each.value.max
  # A table that keeps its own tags is taken over with its scaling, which has none.
  tags = var.table.table_tags == null ? var.table.tags : {}
}

resource "aws_appautoscaling_policy" "this" {
  for_each = local.scaled

  name               = "DynamoDB${title(each.value.kind)}CapacityUtilization:${aws_appautoscaling_target.this[each.key].resource_id}"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.this[each.key].service_namespace
  resource_id        = aws_appautoscaling_target.this[each.key].resource_id
  scalable_dimension = aws_appautoscaling_target.this[each.key].scalable_dimension

  target_tracking_scaling_policy_configuration {
    target_value = each.value.target_percent

    predefined_metric_specification {
      predefined_metric_type = "DynamoDB${title(each.value.kind)}CapacityUtilization"
    }
  }
}
