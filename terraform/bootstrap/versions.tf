terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }

  # The state of this root lies in the bucket that it manages: there is never a state file on anybody's disk.
  backend "s3" {
    encrypt      = true
    use_lockfile = true
  }
}
