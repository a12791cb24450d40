module "endpoint" {
  source = "../.."

  endpoint = {
    name            = "dynamodb"
    vpc_id          = aws_vpc.private.id
    route_table_ids = [aws_vpc.private.main_route_table_id]
    table_arns      = [module.parcels.arn]
  }
}

resource "aws_vpc" "private" {
  cidr_block = "10.20.0.0/16"
}

# A gateway endpoint answers under DynamoDB's public addresses.
resource "aws_security_group" "callers" {
  name   = "callers-of-dynamodb"
  vpc_id = aws_vpc.private.id

  egress {
    description     = "DynamoDB by way of the endpoint"
    from_port       = 443
    to_port         = 443
    protocol        = "tcp"
    prefix_list_ids = [module.endpoint.prefix_list_id]
  }
}

module "parcels" {
  source = "../../../table"

  table = {
    name                = "Parcels"
    hash_key            = { name = "id", type = "S" }
    deletion_protection = false
  }
}
