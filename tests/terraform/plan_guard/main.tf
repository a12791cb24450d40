# Applied once in the tests, then planned as `changed`, together with what changed.tf adds: one change for each rule of
# the guard, and for what it must leave alone. What the embedded AWS can't keep is only planned, for things that are not.

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }
}

provider "aws" {}

variable "changed" {
  type = bool
}

# By name; what module table takes but for the name.
variable "tables" {
  type = any
}

# By name: policies of one role.
variable "role_policies" {
  type = map(string)
}

# What another part of AWS would allow, by resource type.
variable "wide_policy" {
  type = string
}

locals {
  account  = "123456789012"
  changed  = var.changed ? 1 : 0
  original = var.changed ? 0 : 1
}

module "table" {
  source   = "../modules/table"
  for_each = var.tables

  table  = merge({ hash_key = { name = "id", type = "S" } }, { name = each.key }, each.value)
  alarms = { enabled = false }
}

# --- tables beyond the module --------------------------------------------------------------------------------------

resource "aws_dynamodb_table" "imported" {
  name         = "imported"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "id"

  attribute {
    name = "id"
    type = "S"
  }

  dynamic "import_table" {
    for_each = range(local.changed)
    content {
      input_format = "DYNAMODB_JSON"
      s3_bucket_source {
        bucket = "exports"
      }
    }
  }
}

resource "aws_lambda_function" "reader" {
  function_name = "reader"
  role          = aws_iam_role.this.arn
  handler       = "handler.handler"
  runtime       = "python3.13"
  filename      = "../modules/function/tests/fixtures/function.zip"
}

resource "aws_lambda_event_source_mapping" "reader" {
  event_source_arn  = module.table["read"].stream_arn
  function_name     = aws_lambda_function.reader.arn
  starting_position = "LATEST"

  # Changing the stream is what is tested here, not what becomes of its reader.
  lifecycle {
    ignore_changes = [event_source_arn]
  }
}

# --- policies ------------------------------------------------------------------------------------------------------

resource "aws_iam_role" "this" {
  name = "user"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = var.changed ? { AWS = "*" } : { Service = "lambda.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  for_each = var.role_policies

  name   = each.key
  role   = aws_iam_role.this.name
  policy = each.value
}

resource "aws_sns_topic" "unknown" {
  count = local.changed
  name  = "unknown"
}

resource "aws_iam_role_policy" "unknown" {
  count = local.changed
  name  = "unknown"
  role  = aws_iam_role.this.name
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sns:Publish", Resource = aws_sns_topic.unknown[0].arn }]
  })
}

resource "aws_iam_policy" "wide" {
  count  = local.changed
  name   = "wide"
  policy = var.wide_policy
}

resource "aws_iam_group_policy" "wide" {
  count  = local.changed
  group  = "people"
  policy = var.wide_policy
}

resource "aws_iam_user_policy" "wide" {
  count  = local.changed
  user   = "ada"
  policy = var.wide_policy
}

resource "aws_iam_role_policy_attachment" "wide" {
  count      = local.changed
  role       = aws_iam_role.this.name
  policy_arn = "arn:aws:iam::aws:policy/AdministratorAccess"
}

resource "aws_dynamodb_resource_policy" "wide" {
  count        = local.changed
  resource_arn = "arn:aws:dynamodb:us-east-1:${local.account}:table/kept"
  policy       = var.wide_policy
}

resource "aws_kms_key_policy" "wide" {
  count  = local.changed
  key_id = "6c1b2d4e-1111-2222-3333-444455556666"
  policy = var.wide_policy
}

resource "aws_sns_topic_policy" "wide" {
  count  = local.changed
  arn    = "arn:aws:sns:us-east-1:${local.account}:topic"
  policy = var.wide_policy
}

resource "aws_sqs_queue_policy" "wide" {
  count     = local.changed
  queue_url = "https://sqs.us-east-1.amazonaws.com/${local.account}/queue"
  policy    = var.wide_policy
}

resource "aws_s3_bucket_policy" "wide" {
  count  = local.changed
  bucket = "bucket"
  policy = var.wide_policy
}

resource "aws_secretsmanager_secret_policy" "wide" {
  count      = local.changed
  secret_arn = "arn:aws:secretsmanager:us-east-1:${local.account}:secret:secret-a1b2c3"
  policy     = var.wide_policy
}

resource "aws_backup_vault_policy" "wide" {
  count             = local.changed
  backup_vault_name = "vault"
  policy            = var.wide_policy
}

resource "aws_vpc_endpoint" "wide" {
  count        = local.changed
  vpc_id       = "vpc-0a1b2c3d"
  service_name = "com.amazonaws.us-east-1.dynamodb"
  policy       = var.wide_policy
}

# --- doors ---------------------------------------------------------------------------------------------------------

resource "aws_apigatewayv2_api" "this" {
  name          = "api"
  protocol_type = "HTTP"
}

resource "aws_apigatewayv2_route" "opened" {
  api_id             = aws_apigatewayv2_api.this.id
  route_key          = "GET /agents"
  authorization_type = var.changed ? "NONE" : "AWS_IAM"
}

resource "aws_apigatewayv2_route" "new" {
  for_each  = toset(var.changed ? ["GET /pets"] : [])
  api_id    = aws_apigatewayv2_api.this.id
  route_key = each.key
}

resource "aws_api_gateway_method" "open" {
  count         = local.changed
  rest_api_id   = "a1b2c3"
  resource_id   = "d4e5f6"
  http_method   = "GET"
  authorization = "NONE"
}

resource "aws_lambda_function_url" "open" {
  count              = local.changed
  function_name      = aws_lambda_function.reader.function_name
  authorization_type = "NONE"
}

resource "aws_lambda_permission" "open_url" {
  count                  = local.changed
  function_name          = aws_lambda_function.reader.function_name
  action                 = "lambda:InvokeFunctionUrl"
  principal              = "*"
  function_url_auth_type = "NONE"
}

resource "aws_lambda_permission" "wide" {
  count         = local.changed
  function_name = aws_lambda_function.reader.function_name
  action        = "lambda:InvokeFunction"
  principal     = "*"
}

resource "aws_lambda_permission" "own_account" {
  count          = local.changed
  function_name  = aws_lambda_function.reader.function_name
  action         = "lambda:InvokeFunction"
  principal      = "*"
  source_account = local.account
}

# --- what holds data up --------------------------------------------------------------------------------------------

resource "aws_kms_key" "gone" {
  count = local.original
}

resource "aws_kms_key" "disabled" {
  is_enabled = !var.changed
}

resource "aws_cognito_user_pool" "gone" {
  count = local.original
  name  = "gone"
}

resource "aws_cognito_user_pool" "unprotected" {
  name                = "unprotected"
  deletion_protection = var.changed ? "INACTIVE" : "ACTIVE"
}

resource "aws_backup_vault" "gone" {
  count = local.original
  name  = "gone"
}

resource "aws_s3_bucket" "gone" {
  count  = local.original
  bucket = "states"
}
