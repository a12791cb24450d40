mock_provider "aws" {
  source = "./tests/mocks"
}

run "no_vpc" {
  command = plan

  variables {
    endpoint = { name = "agents", vpc_id = "main", route_table_ids = ["rtb-0a1b2c3d"], table_arns = ["arn:aws:dynamodb:eu-north-1:123456789012:table/Agents"] }
  }

  expect_failures = [var.endpoint]
}

run "no_route_table" {
  command = plan

  variables {
    endpoint = { name = "agents", vpc_id = "vpc-0a1b2c3d", route_table_ids = [], table_arns = ["arn:aws:dynamodb:eu-north-1:123456789012:table/Agents"] }
  }

  expect_failures = [var.endpoint]
}

run "a_subnet_for_a_route_table" {
  command = plan

  variables {
    endpoint = { name = "agents", vpc_id = "vpc-0a1b2c3d", route_table_ids = ["subnet-0a1b2c3d"], table_arns = ["arn:aws:dynamodb:eu-north-1:123456789012:table/Agents"] }
  }

  expect_failures = [var.endpoint]
}

run "no_tables" {
  command = plan

  variables {
    endpoint = { name = "agents", vpc_id = "vpc-0a1b2c3d", route_table_ids = ["rtb-0a1b2c3d"], table_arns = [] }
  }

  expect_failures = [var.endpoint]
}

run "all_tables" {
  command = plan

  variables {
    endpoint = { name = "agents", vpc_id = "vpc-0a1b2c3d", route_table_ids = ["rtb-0a1b2c3d"], table_arns = ["arn:aws:dynamodb:eu-north-1:123456789012:table/*"] }
  }

  expect_failures = [var.endpoint]
}

run "all_actions" {
  command = plan

  variables {
    endpoint = { name = "agents", vpc_id = "vpc-0a1b2c3d", route_table_ids = ["rtb-0a1b2c3d"], table_arns = ["arn:aws:dynamodb:eu-north-1:123456789012:table/Agents"], actions = ["dynamodb:*"] }
  }

  expect_failures = [var.endpoint]
}
