mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws", dns_suffix = "amazonaws.com" }
  }
}

# What the import finds.
override_resource {
  target = aws_s3_bucket.state
  values = { id = "my-terraform-state" }
}

variables {
  aws_region        = "eu-north-1"
  state_bucket_name = "my-terraform-state"
}

run "states_are_kept_safe" {
  command = plan

  assert {
    condition = (
      aws_s3_bucket.state.bucket == "my-terraform-state"
      && aws_s3_bucket_versioning.state.versioning_configuration[0].status == "Enabled"
      && one(aws_s3_bucket_server_side_encryption_configuration.state.rule).apply_server_side_encryption_by_default[0].sse_algorithm == "AES256"
      && aws_s3_bucket_ownership_controls.state.rule[0].object_ownership == "BucketOwnerEnforced"
    )
    error_message = "Versioned, encrypted, owned by its account."
  }

  assert {
    condition = (
      aws_s3_bucket_public_access_block.state.block_public_acls && aws_s3_bucket_public_access_block.state.block_public_policy
      && aws_s3_bucket_public_access_block.state.ignore_public_acls && aws_s3_bucket_public_access_block.state.restrict_public_buckets
    )
    error_message = "Public in no way."
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.state[0].rule[0].noncurrent_version_expiration[0].noncurrent_days == 90
    error_message = "Replaced states go after 90 days."
  }

  assert {
    condition = jsondecode(aws_s3_bucket_policy.state[0].policy).Statement == [{
      Sid       = "TlsOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = ["arn:aws:s3:::my-terraform-state", "arn:aws:s3:::my-terraform-state/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
    error_message = "Nobody gets in without TLS."
  }
}

run "without_tls_and_expiry" {
  command = plan

  variables {
    require_tls    = false
    old_state_days = 0
  }

  assert {
    condition     = length(aws_s3_bucket_policy.state) == 0 && length(aws_s3_bucket_lifecycle_configuration.state) == 0
    error_message = "Both can be left out."
  }
}

run "wrong_values_are_refused" {
  command = plan

  variables {
    aws_region        = "stockholm"
    aws_account_id    = "1234"
    state_bucket_name = "My.Bucket"
    old_state_days    = 3
  }

  expect_failures = [var.aws_region, var.aws_account_id, var.state_bucket_name, var.old_state_days]
}
