output "state_bucket" {
  description = "The bucket that holds the states: name and region, for backend configurations."
  value = {
    name   = aws_s3_bucket.state.bucket
    region = aws_s3_bucket.state.region
  }
}
