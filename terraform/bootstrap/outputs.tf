output "state_bucket" {
  description = "The bucket that holds the states: name and region, for backend configurations."
  value = {
    name   = aws_s3_bucket.state.bucket
    region = var.aws_region
  }
}

output "github_roles" {
  description = "By environment: the roles that workflows assume, and the boundary of the roles that the stack makes."
  value = {
    for name, stack in local.stacks : name => {
      plan     = aws_iam_role.plan[name].arn
      apply    = aws_iam_role.apply[name].arn
      boundary = aws_iam_policy.boundary[name].arn
    }
  }
}
