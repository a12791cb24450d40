# The role may do what `statements` says, write to its own log group, and what a chosen option needs; nothing else.
# ARNs are built from names so that the whole policy is known in the plan.

data "aws_partition" "current" {}
data "aws_caller_identity" "current" {}
data "aws_region" "current" {}

locals {
  # `id` and not `name`: it is the region's name in version 5 and in version 6 of the provider.
  region  = data.aws_region.current.id
  account = data.aws_caller_identity.current.account_id
  arn     = "arn:${data.aws_partition.current.partition}"

  # Of what can't be restricted to resources: at least no other region's.
  in_this_region = { StringEquals = { "aws:RequestedRegion" = [local.region] } }

  ec2     = "${local.arn}:ec2:${local.region}:${local.account}"
  subnets = [for id in try(var.function.vpc.subnet_ids, []) : "${local.ec2}:subnet/${id}"]

  own_statements = {
    WriteOwnLogs = {
      actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      resources = ["${local.arn}:logs:${local.region}:${local.account}:log-group:/aws/lambda/${var.function.name}:*"]
      condition = {}
    }
  }

  tracing_statements = {
    for sid in ["WriteTraces"] : sid => {
      actions = ["xray:PutTelemetryRecords", "xray:PutTraceSegments"]
      # X-Ray has no resource to name here: AWS authorises these two on everything or on nothing.
      resources = ["*"]
      condition = local.in_this_region
    } if var.function.tracing
  }

  dead_letter_statements = {
    for sid in ["SendDeadLetters"] : sid => {
      actions   = strcontains(coalesce(var.function.dead_letter_arn, "-"), ":sqs:") ? ["sqs:SendMessage"] : ["sns:Publish"]
      resources = [var.function.dead_letter_arn]
      condition = {}
    } if var.function.dead_letter_arn != null
  }

  vpc_statements = {
    for sid, statement in {
      # EC2 can't restrict these calls to resources.
      DescribeNetwork = {
        actions   = ["ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"]
        resources = ["*"]
        condition = local.in_this_region
      }
      CreateNetworkInterface = {
        actions = ["ec2:CreateNetworkInterface"]
        resources = concat(
          local.subnets,
          [for id in try(var.function.vpc.security_group_ids, []) : "${local.ec2}:security-group/${id}"],
          ["${local.ec2}:network-interface/*"],
        )
        condition = {}
      }
      # Lambda tries this permission before any interface exists, against no resource of a kind: anything narrower than
      # the account and region makes it refuse the function.
      DeleteNetworkInterface = {
        actions   = ["ec2:DeleteNetworkInterface"]
        resources = ["${local.ec2}:*/*"]
        condition = {}
      }
      AssignAddresses = {
        actions   = ["ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses"]
        resources = ["${local.ec2}:network-interface/*"]
        condition = { ArnEquals = { "ec2:Subnet" = local.subnets } }
      }
    } : sid => statement if var.function.vpc != null
  }

  statements = merge(
    { for sid, statement in var.statements : sid => statement },
    local.own_statements,
    local.tracing_statements,
    local.dead_letter_statements,
    local.vpc_statements,
  )
}

resource "aws_iam_role" "this" {
  name                 = var.function.name
  path                 = var.function.role_path
  description          = "What the function ${var.function.name} may do"
  permissions_boundary = var.function.permissions_boundary_arn
  tags                 = var.function.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  name = "function"
  role = aws_iam_role.this.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      for sid, statement in local.statements : merge(
        { Sid = sid, Effect = "Allow", Action = sort(statement.actions), Resource = sort(statement.resources) },
        { for name in ["Condition"] : name => statement.condition if length(statement.condition) > 0 },
      )
    ]
  })
}
