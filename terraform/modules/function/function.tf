resource "aws_lambda_function" "this" {
  #checkov:skip=CKV_AWS_116:a dead-letter target only matters for asynchronous invocations; callers that have them set function.dead_letter_arn
  #checkov:skip=CKV_AWS_117:a function that calls AWS APIs only gains nothing from a VPC but cold starts; callers that need one set function.vpc
  #checkov:skip=CKV_AWS_272:code signing is the caller's choice (function.code_signing_config_arn): it needs a signing profile and S3
  # Named after its log group on purpose: this reference makes the group, with its retention, exist before the function
  # can write its first line and have Lambda create a group that never expires.
  function_name = trimprefix(aws_cloudwatch_log_group.this.name, "/aws/lambda/")
  description   = var.function.description
  role          = aws_iam_role.this.arn
  runtime       = var.function.runtime
  architectures = [var.function.architecture]
  memory_size   = var.function.memory_megabytes
  timeout       = var.function.timeout_seconds

  filename                = var.package.zip
  handler                 = var.package.handler
  source_code_hash        = var.package.source_code_hash
  code_signing_config_arn = var.function.code_signing_config_arn
  publish                 = true

  reserved_concurrent_executions = coalesce(var.function.reserved_concurrency, -1)
  kms_key_arn                    = var.function.environment_kms_key_arn
  tags                           = var.function.tags

  dynamic "environment" {
    for_each = length(var.function.environment) > 0 ? [var.function.environment] : []
    content {
      variables = environment.value
    }
  }

  dynamic "snap_start" {
    for_each = var.function.snap_start ? [true] : []
    content {
      apply_on = "PublishedVersions"
    }
  }

  # PassThrough, Lambda's default, follows a caller's sampling decision but records nothing without the permission.
  tracing_config {
    mode = var.function.tracing ? "Active" : "PassThrough"
  }

  dynamic "logging_config" {
    for_each = var.function.json_logging[*]
    content {
      log_format            = "JSON"
      log_group             = aws_cloudwatch_log_group.this.name
      application_log_level = logging_config.value.application_level
      system_log_level      = logging_config.value.system_level
    }
  }

  dynamic "dead_letter_config" {
    for_each = var.function.dead_letter_arn[*]
    content {
      target_arn = dead_letter_config.value
    }
  }

  dynamic "vpc_config" {
    for_each = var.function.vpc[*]
    content {
      subnet_ids         = vpc_config.value.subnet_ids
      security_group_ids = vpc_config.value.security_group_ids
    }
  }

  lifecycle {
    precondition {
      condition     = try(filebase64sha256(var.package.zip), "") == var.package.source_code_hash
      error_message = "${var.package.zip} is ${try(filebase64sha256(var.package.zip), "") == "" ? "missing" : "not the file that the manifest describes"}: run `make build`. Other code than reviewed would be deployed."
    }
  }

  # No argument of the function can refer to the policy, yet Lambda checks at creation that the role may make network
  # interfaces and write to the dead-letter target.
  depends_on = [aws_iam_role_policy.this]
}

resource "aws_lambda_alias" "live" {
  name             = var.function.alias
  description      = "What callers of ${var.function.name} get"
  function_name    = aws_lambda_function.this.function_name
  function_version = coalesce(var.function.pinned_version, aws_lambda_function.this.version)
}

# On the alias, so that a deployment moves it along with the version.
resource "aws_lambda_provisioned_concurrency_config" "live" {
  count = var.function.provisioned_concurrency > 0 ? 1 : 0

  function_name                     = aws_lambda_alias.live.function_name
  qualifier                         = aws_lambda_alias.live.name
  provisioned_concurrent_executions = var.function.provisioned_concurrency
}

resource "aws_lambda_permission" "this" {
  for_each = var.permissions

  statement_id   = each.key
  action         = "lambda:InvokeFunction"
  function_name  = aws_lambda_alias.live.function_name
  qualifier      = aws_lambda_alias.live.name
  principal      = each.value.principal
  source_arn     = each.value.source_arn
  source_account = each.value.source_account
}
