mock_data "aws_partition" {
  defaults = { partition = "aws", dns_suffix = "amazonaws.com" }
}

mock_data "aws_caller_identity" {
  defaults = { account_id = "123456789012" }
}

mock_data "aws_region" {
  defaults = { id = "eu-north-1", name = "eu-north-1" }
}

# For runs that apply: ARNs are AWS's to give, and other resources check their shape.
mock_resource "aws_iam_role" {
  defaults = { arn = "arn:aws:iam::123456789012:role/mock" }
}

mock_resource "aws_iam_policy" {
  defaults = { arn = "arn:aws:iam::123456789012:policy/mock" }
}

mock_resource "aws_sns_topic" {
  defaults = { arn = "arn:aws:sns:eu-north-1:123456789012:mock" }
}

mock_resource "aws_cloudwatch_log_group" {
  defaults = { arn = "arn:aws:logs:eu-north-1:123456789012:log-group:mock" }
}

mock_resource "aws_lambda_function" {
  defaults = { arn = "arn:aws:lambda:eu-north-1:123456789012:function:mock", version = "1" }
}

mock_resource "aws_lambda_alias" {
  defaults = {
    arn        = "arn:aws:lambda:eu-north-1:123456789012:function:mock:live"
    invoke_arn = "arn:aws:apigateway:eu-north-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-north-1:123456789012:function:mock:live/invocations"
  }
}

mock_resource "aws_apigatewayv2_api" {
  defaults = { id = "abc123", execution_arn = "arn:aws:execute-api:eu-north-1:123456789012:abc123" }
}

mock_resource "aws_apigatewayv2_stage" {
  defaults = { invoke_url = "https://abc123.execute-api.eu-north-1.amazonaws.com/" }
}

mock_resource "aws_cloudwatch_event_rule" {
  defaults = { arn = "arn:aws:events:eu-north-1:123456789012:rule/mock" }
}
