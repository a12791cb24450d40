resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_158:CloudWatch Logs encrypts by itself; an own key is the caller's choice (function.log_kms_key_arn)
  #checkov:skip=CKV_AWS_338:how long to keep logs is the caller's choice (function.log_retention_days, 30 by default): they cost by the gigabyte
  name              = "/aws/lambda/${var.function.name}"
  retention_in_days = var.function.log_retention_days
  kms_key_id        = var.function.log_kms_key_arn
  tags              = var.function.tags
}
