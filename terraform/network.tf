# The way from a VPC to the tables, without the internet.

module "dynamodb_vpc_endpoint" {
  source = "./modules/vpc_endpoint"
  count  = var.dynamodb_vpc_endpoint == null ? 0 : 1

  endpoint = {
    name            = "${local.name}-dynamodb"
    vpc_id          = var.dynamodb_vpc_endpoint.vpc_id
    route_table_ids = var.dynamodb_vpc_endpoint.route_table_ids
    actions         = var.dynamodb_vpc_endpoint.actions

    # The markers, too: the functions write them in the transactions that write items.
    table_arns = setunion(
      flatten([for system in values(local.systems) : [for table in values(system.tables) : table.arn]]),
      [for table in module.extra_table : table.arn],
      var.dynamodb_vpc_endpoint.other_table_arns,
    )
  }
}
