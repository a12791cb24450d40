# The routes are those of the OpenAPI files: nothing is declared twice.

locals {
  methods = ["delete", "get", "head", "options", "patch", "post", "put"]

  routes_by_system = {
    for name, system in var.systems : name => flatten([
      for path, operations in yamldecode(file(system.openapi)).paths : [
        for method in keys(operations) : "${upper(method)} ${path}" if contains(local.methods, method)
      ]
    ])
  }

  paths_by_system = { for name, routes in local.routes_by_system : name => distinct([for route in routes : split(" ", route)[1]]) }

  # Where only the contract's methods had a route, any other would be API Gateway's 404; so it is the function's 405,
  # which names the methods there are.
  systems_by_route = transpose({
    for name, routes in local.routes_by_system : name => concat(routes, [for path in local.paths_by_system[name] : "ANY ${path}"])
  })

  # API Gateway matches on the shape of a path: /pets/{id} and /pets/{name} are one path to it, and one function
  # answers it.
  claims          = flatten([for system, paths in local.paths_by_system : [for path in paths : { shape = replace(path, "/\\{[^}]+\\}/", "{}"), claim = "${path} (${system})" }]])
  claims_by_shape = { for claim in local.claims : claim.shape => claim.claim... }
  contested_paths = [for claims in values(local.claims_by_shape) : join(" and ", sort(claims)) if length(claims) > 1]

  authorization_types = { iam = "AWS_IAM", jwt = "JWT", none = "NONE" }

  # `read` or `write`, by route of the contracts.
  access_by_route = merge(flatten([
    for system in var.systems : [
      for path, operations in yamldecode(file(system.openapi)).paths : {
        for method, operation in operations : "${upper(method)} ${path}" => try(operation["x-access"], contains(["get", "head", "options"], method) ? "read" : "write")
        if contains(local.methods, method)
      }
    ]
  ])...)

  scopes_by_contract_route = merge([
    for name, system in var.systems : {
      for route in local.routes_by_system[name] : route => try(system.scopes[route], system.scopes[local.access_by_route[route]], [])
    }
  ]...)

  # The function answers a HEAD, which comes by ANY, as it does a GET: it asks for the same scopes.
  scopes_by_route = {
    for key, systems in local.systems_by_route : key => try(
      local.scopes_by_contract_route[key],
      local.scopes_by_contract_route[replace(key, "ANY ", "GET ")],
      flatten([for route, scopes in local.scopes_by_contract_route : scopes if endswith(route, trimprefix(key, "ANY"))]),
    )
  }
}

# It goes after the routes have let go of it (create_before_destroy): API Gateway deletes no authorizer that a route asks.
resource "aws_apigatewayv2_authorizer" "tokens" {
  for_each = toset(var.api.authorization == "jwt" ? ["tokens"] : [])

  api_id           = aws_apigatewayv2_api.this.id
  name             = each.key
  authorizer_type  = "JWT"
  identity_sources = ["$request.header.Authorization"]

  jwt_configuration {
    issuer   = var.api.jwt.issuer
    audience = var.api.jwt.audiences
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_apigatewayv2_integration" "this" {
  for_each = var.systems

  api_id                 = aws_apigatewayv2_api.this.id
  description            = each.key
  integration_type       = "AWS_PROXY"
  integration_uri        = each.value.alias_invoke_arn
  payload_format_version = "2.0"
  timeout_milliseconds   = var.api.integration_timeout_milliseconds
}

resource "aws_apigatewayv2_route" "this" {
  for_each = local.systems_by_route

  api_id             = aws_apigatewayv2_api.this.id
  route_key          = each.key
  target             = "integrations/${aws_apigatewayv2_integration.this[each.value[0]].id}"
  authorization_type = local.authorization_types[var.api.authorization]

  authorizer_id        = one(values(aws_apigatewayv2_authorizer.tokens)[*].id)
  authorization_scopes = var.api.authorization == "jwt" ? local.scopes_by_route[each.key] : null
}

resource "aws_lambda_permission" "this" {
  for_each = var.systems

  statement_id  = "http-api-${var.api.name}"
  action        = "lambda:InvokeFunction"
  function_name = each.value.function_name
  qualifier     = each.value.alias_name
  principal     = "apigateway.amazonaws.com"
  # Any stage and route, of this API only.
  source_arn = "${aws_apigatewayv2_api.this.execution_arn}/*/*"
}
