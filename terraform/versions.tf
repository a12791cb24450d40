terraform {
  # 1.11: state locks as files in S3 (use_lockfile), and validations that look at other variables.
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }

  # Bucket, key and region come from the environment's rendered backend configuration (terraform init -backend-config).
  backend "s3" {
    encrypt      = true
    use_lockfile = true
  }
}
