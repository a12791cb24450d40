# The bucket has to be there before the first init, since the state of this very root lies in it: one CreateBucket call
# makes it, and from then on it is managed here. An import of what is in the state already does nothing, so this can be
# repeated at any time, after any interruption.
import {
  to = aws_s3_bucket.state
  id = var.state_bucket_name
}

resource "aws_s3_bucket" "state" {
  #checkov:skip=CKV_AWS_145:S3's own keys encrypt the states at no cost; who may read them is decided by bucket and role policies
  #checkov:skip=CKV_AWS_18:access logs would need a second bucket; CloudTrail data events are the account's business
  #checkov:skip=CKV_AWS_144:states are versioned; a copy in another region is the account's business
  #checkov:skip=CKV2_AWS_62:nobody acts on events of a state bucket
  bucket = var.state_bucket_name

  lifecycle {
    # The states of all environments: losing them orphans everything that they describe.
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_ownership_controls" "state" {
  bucket = aws_s3_bucket.state.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_public_access_block" "state" {
  bucket = aws_s3_bucket.state.id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_versioning" "state" {
  bucket = aws_s3_bucket.state.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "state" {
  bucket = aws_s3_bucket.state.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "state" {
  count = var.old_state_days > 0 ? 1 : 0

  # A rule on noncurrent versions is only right once there are versions.
  bucket = aws_s3_bucket_versioning.state.bucket

  rule {
    id     = "replaced-states"
    status = "Enabled"

    filter {}

    noncurrent_version_expiration {
      noncurrent_days = var.old_state_days
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
}

resource "aws_s3_bucket_policy" "state" {
  count = var.require_tls ? 1 : 0

  # After the public access block: S3 checks a new policy against it.
  bucket = aws_s3_bucket_public_access_block.state.bucket

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "TlsOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource = [
        "arn:${data.aws_partition.current.partition}:s3:::${var.state_bucket_name}",
        "arn:${data.aws_partition.current.partition}:s3:::${var.state_bucket_name}/*",
      ]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })
}
