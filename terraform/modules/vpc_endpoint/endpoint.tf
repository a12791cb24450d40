data "aws_caller_identity" "current" {}
data "aws_region" "current" {}

locals {
  actions = var.endpoint.actions != null ? var.endpoint.actions : toset([
    "dynamodb:BatchGetItem",
    "dynamodb:BatchWriteItem",
    "dynamodb:ConditionCheckItem",
    "dynamodb:DeleteItem",
    "dynamodb:DescribeTable",
    "dynamodb:DescribeTimeToLive",
    "dynamodb:GetItem",
    "dynamodb:PartiQLDelete",
    "dynamodb:PartiQLInsert",
    "dynamodb:PartiQLSelect",
    "dynamodb:PartiQLUpdate",
    "dynamodb:PutItem",
    "dynamodb:Query",
    "dynamodb:Scan",
    "dynamodb:UpdateItem",
  ])
}

resource "aws_vpc_endpoint" "this" {
  vpc_id            = var.endpoint.vpc_id
  vpc_endpoint_type = "Gateway"
  # `id` and not `name`: it is the region's name in version 5 and in version 6 of the provider.
  service_name    = "com.amazonaws.${data.aws_region.current.id}.dynamodb"
  route_table_ids = var.endpoint.route_table_ids
  tags            = merge({ Name = var.endpoint.name }, var.endpoint.tags)

  # An endpoint's policy grants nothing: it bounds what the callers' own policies allow. Principals can't be named here, so
  # the account's are told from others by condition: nobody takes data to another account's tables by this way.
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "TablesOfThisAccount"
      Effect    = "Allow"
      Principal = "*"
      Action    = sort(local.actions)
      Resource  = sort(flatten([for arn in var.endpoint.table_arns : [arn, "${arn}/index/*"]]))
      Condition = { StringEquals = { "aws:PrincipalAccount" = data.aws_caller_identity.current.account_id } }
    }]
  })
}
