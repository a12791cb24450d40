# Where other programs look names up, as they once did in CloudFormation's exports: SSM parameters under one path.

locals {
  parameter_path = var.parameter_path == null ? "/${var.name_prefix}/${var.environment}" : var.parameter_path

  published = merge(concat(
    [for api in module.http_api : {
      "api/url" = { value = api.url, description = "URL of the HTTP API" }
    }],
    [for pool in module.user_pool : {
      "api/issuer"    = { value = pool.issuer, description = "Issuer of the tokens that open the API" }
      "api/client_id" = { value = pool.client_id, description = "Client by which callers sign in for a token" }
    }],
    [for name, system in local.systems : {
      "${name}/function" = { value = system.function.name, description = "Function of ${name}" }
    }],
    [for name, tables in local.own_tables : {
      for logical, table in tables : "${name}/tables/${logical}" => { value = table.name, description = "Table ${logical} of ${name}" }
    }],
  )...)
}

resource "aws_ssm_parameter" "published" {
  #checkov:skip=CKV2_AWS_34:names are no secrets, and whoever looks one up should need no key
  for_each = { for key, entry in local.published : key => entry if local.parameter_path != "" }

  name        = "${local.parameter_path}/${each.key}"
  description = each.value.description
  type        = "String"
  # Shown in the plan, unlike `value`.
  insecure_value = each.value.value
}
