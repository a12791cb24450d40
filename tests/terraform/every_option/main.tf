# Planned in the tests with the real provider, never applied: every option of the table, function and backup modules at
# once, also those that the embedded AWS can't keep. Plans find what a mock of the provider lets pass.

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }
}

provider "aws" {}

locals {
  key = "arn:aws:kms:us-east-1:123456789012:key/6c1b2d4e-1111-2222-3333-444455556666"
}

module "provisioned_table" {
  source = "../modules/table"

  table = {
    name           = "provisioned"
    hash_key       = { name = "conversation", type = "S" }
    range_key      = { name = "at", type = "N" }
    billing_mode   = "PROVISIONED"
    read_capacity  = 10
    write_capacity = 10
    autoscaling    = { read = { min = 5, max = 40 }, write = { max = 40, target_percent = 50 } }

    indexes = {
      ByAgent = {
        hash_key           = { name = "agent", type = "S" }
        range_key          = { name = "at", type = "N" }
        projection_type    = "INCLUDE"
        non_key_attributes = ["sender", "message"]
        read_capacity      = 5
        write_capacity     = 5
        autoscaling        = { read = { max = 20 }, write = { max = 20 } }
      }
      ByPicture = {
        hash_key        = { name = "picture", type = "B" }
        projection_type = "KEYS_ONLY"
        read_capacity   = 1
        write_capacity  = 1
      }
    }

    point_in_time_recovery_days = 1
    ttl                         = { attribute = "ttl" }
    encryption                  = { type = "CUSTOMER_MANAGED", kms_key_arn = local.key }
    stream_view_type            = "NEW_AND_OLD_IMAGES"
    table_class                 = "STANDARD_INFREQUENT_ACCESS"
    tags                        = { Team = "agents" }
  }

  alarms = { conditional_check_failures = 10 }
}

module "bare_table" {
  source = "../modules/table"

  table = {
    name                        = "bare"
    hash_key                    = { name = "id", type = "N" }
    point_in_time_recovery_days = 0
    encryption                  = { type = "AWS_MANAGED" }
    ttl                         = { attribute = "ttl", enabled = false }
    deletion_protection         = false
  }
}

module "global_table" {
  source = "../modules/table"

  table = {
    name                 = "global"
    hash_key             = { name = "id", type = "S" }
    on_demand_throughput = { max_read_request_units = 1000, max_write_request_units = 500 }
    contributor_insights = true
    replicas             = { eu-west-1 = {}, eu-central-1 = { point_in_time_recovery = false } }
    indexes              = { ByDay = { hash_key = { name = "day", type = "N" }, on_demand_throughput = { max_write_request_units = 500 } } }
    resource_policy = jsonencode({
      Version = "2012-10-17"
      Statement = [{
        Effect    = "Allow"
        Principal = { AWS = "arn:aws:iam::210987654321:root" }
        Action    = ["dynamodb:GetItem"]
        Resource  = ["arn:aws:dynamodb:us-east-1:123456789012:table/global"]
      }]
    })
  }
}

module "warm_function" {
  source = "../modules/function"

  function = {
    name                     = "warm"
    description              = "Everything that goes with provisioned concurrency"
    reserved_concurrency     = 10
    provisioned_concurrency  = 2
    tracing                  = true
    json_logging             = { application_level = "DEBUG", system_level = "INFO" }
    dead_letter_arn          = "arn:aws:sqs:us-east-1:123456789012:lost"
    vpc                      = { subnet_ids = ["subnet-0a1b2c3d", "subnet-4e5f6a7b"], security_group_ids = ["sg-0a1b2c3d"] }
    environment              = { LOG_LEVEL = "DEBUG" }
    environment_kms_key_arn  = local.key
    log_kms_key_arn          = local.key
    role_path                = "/agents/"
    permissions_boundary_arn = "arn:aws:iam::123456789012:policy/boundary"
    tags                     = { Team = "agents" }
  }

  package     = local.package
  statements  = module.provisioned_table.statements.write
  permissions = { nightly = { principal = "events.amazonaws.com", source_arn = "arn:aws:events:us-east-1:123456789012:rule/nightly" } }
}

module "snapshot_function" {
  source = "../modules/function"

  function = { name = "snapshot", snap_start = true, architecture = "x86_64", runtime = "python3.12" }
  package  = local.package
  alarms   = { concurrent_executions = 50 }
}

module "backup" {
  source = "../modules/backup"

  backup = {
    name               = "every-option"
    table_arns         = [module.provisioned_table.arn]
    table_kms_key_arns = [local.key]
    rules = {
      daily = {
        schedule           = "cron(0 5 * * ? *)"
        delete_after_days  = 35
        copy_to_vault_arns = ["arn:aws:backup:eu-west-1:210987654321:backup-vault:copies"]
      }
    }
  }
}

locals {
  package = {
    zip              = "../modules/function/tests/fixtures/function.zip"
    handler          = "handler.handler"
    source_code_hash = filebase64sha256("../modules/function/tests/fixtures/function.zip")
  }
}
