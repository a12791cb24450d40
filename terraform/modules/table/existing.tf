# What AWS has of the table before the apply, asked only where something depends on it: autoscaling and adoption.

data "aws_dynamodb_tables" "existing" {
  count = length(local.scaled) > 0 || var.table.adopt ? 1 : 0
}

# The table itself can't be asked for where there may be none: the plan would fail.
data "aws_dynamodb_table" "existing" {
  count = contains(flatten(data.aws_dynamodb_tables.existing[*].names), var.table.name) ? 1 : 0

  name = var.table.name
}

locals {
  declared_keys = join(", ", [for key in concat([var.table.hash_key], var.table.range_key[*]) : "${key.name} (${key.type})"])

  existing_keys = [
    for table in data.aws_dynamodb_table.existing : join(", ", [
      for name in compact([table.hash_key, table.range_key]) : "${name} (${join("", [for attribute in table.attribute : attribute.type if attribute.name == name])})"
    ])
  ]
}
