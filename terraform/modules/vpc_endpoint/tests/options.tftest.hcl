mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  endpoint = { name = "agents", vpc_id = "vpc-0a1b2c3d", route_table_ids = ["rtb-0a1b2c3d"], table_arns = ["arn:aws:dynamodb:eu-north-1:123456789012:table/Agents"] }
}

run "these_tables_for_this_account" {
  command = plan

  assert {
    condition     = aws_vpc_endpoint.this.vpc_endpoint_type == "Gateway" && aws_vpc_endpoint.this.service_name == "com.amazonaws.eu-north-1.dynamodb" && aws_vpc_endpoint.this.route_table_ids == toset(["rtb-0a1b2c3d"])
    error_message = "A gateway of this region's DynamoDB, in these route tables."
  }

  assert {
    condition = [for statement in jsondecode(output.policy).Statement : { resources = statement.Resource, condition = statement.Condition }] == [{
      resources = ["arn:aws:dynamodb:eu-north-1:123456789012:table/Agents", "arn:aws:dynamodb:eu-north-1:123456789012:table/Agents/index/*"]
      condition = { StringEquals = { "aws:PrincipalAccount" = "123456789012" } }
    }]
    error_message = "The table and its indexes, for principals of this account: ${output.policy}"
  }

  assert {
    condition     = !can(regex("[*]|Delete(Table|Backup)|Create|UpdateTable|Export|Import", join(" ", jsondecode(output.policy).Statement[0].Action)))
    error_message = "Items, and no tables: ${output.policy}"
  }
}

run "fewer_actions" {
  command = plan

  variables {
    endpoint = { name = "agents", vpc_id = "vpc-0a1b2c3d", route_table_ids = ["rtb-0a1b2c3d"], table_arns = ["arn:aws:dynamodb:eu-north-1:123456789012:table/Agents"], actions = ["dynamodb:Query"], tags = { Team = "agents" } }
  }

  assert {
    condition     = jsondecode(output.policy).Statement[0].Action == ["dynamodb:Query"] && aws_vpc_endpoint.this.tags == tomap({ Name = "agents", Team = "agents" })
    error_message = "As asked for: ${output.policy}"
  }
}
