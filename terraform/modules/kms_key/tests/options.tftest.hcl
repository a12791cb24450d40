mock_provider "aws" {
  source = "./tests/mocks"
}

run "used_through_dynamodb_only" {
  command = plan

  variables {
    key = { alias = "agents" }
  }

  assert {
    condition     = aws_kms_key.this.enable_key_rotation && aws_kms_key.this.rotation_period_in_days == 365 && aws_kms_key.this.deletion_window_in_days == 30 && aws_kms_key.this.multi_region == false
    error_message = "Rotated each year, and 30 days to take a deletion back."
  }

  assert {
    condition     = alltrue([for statement in jsondecode(output.policy).Statement : !can(regex("[*]", join(" ", statement.Action)))])
    error_message = "No wildcard among the actions: ${output.policy}"
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(output.policy).Statement : statement.Condition.StringEquals == { "kms:CallerAccount" = "123456789012", "kms:ViaService" = "dynamodb.eu-north-1.amazonaws.com" }
      if try(statement.Principal.AWS, []) == "*"
    ])
    error_message = "Whoever is not named is let in by this account's DynamoDB only: ${output.policy}"
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(output.policy).Statement : length(setintersection(statement.Action, ["kms:CreateGrant", "kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom"])) == 0
      if !strcontains(jsonencode(statement), "kms:ViaService")
    ])
    error_message = "Neither administrators nor the service itself can use the key: ${output.policy}"
  }

  assert {
    condition     = [for statement in jsondecode(output.policy).Statement : statement.Condition.Bool if contains(statement.Action, "kms:CreateGrant")] == [{ "kms:GrantIsForAWSResource" = "true" }]
    error_message = "Grants are for DynamoDB itself: ${output.policy}"
  }

  assert {
    condition     = jsondecode(output.policy).Statement[0].Principal.AWS == ["arn:aws:iam::123456789012:root"] && output.alias_name == "alias/agents"
    error_message = "IAM decides who administers: ${output.policy}"
  }
}

run "named_administrators_and_users" {
  command = plan

  variables {
    key = {
      alias                = "agents"
      rotation_days        = 90
      deletion_window_days = 7
      multi_region         = true
      administrator_arns   = ["arn:aws:iam::123456789012:role/keys"]
      user_arns            = ["arn:aws:iam::123456789012:role/deploy", "arn:aws:iam::123456789012:role/agents-*"]
    }
  }

  assert {
    condition     = aws_kms_key.this.rotation_period_in_days == 90 && aws_kms_key.this.deletion_window_in_days == 7 && aws_kms_key.this.multi_region
    error_message = "As asked for."
  }

  assert {
    condition     = jsondecode(output.policy).Statement[0].Principal.AWS == ["arn:aws:iam::123456789012:role/keys"]
    error_message = "Nobody else administers: ${output.policy}"
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(output.policy).Statement : statement.Condition.ArnLike == { "aws:PrincipalArn" = ["arn:aws:iam::123456789012:role/agents-*", "arn:aws:iam::123456789012:role/deploy"] }
      if try(statement.Principal.AWS, []) == "*"
    ])
    error_message = "Nobody else uses it: ${output.policy}"
  }
}
