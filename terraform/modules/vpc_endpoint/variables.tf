variable "endpoint" {
  description = <<-EOT
    The way from a VPC to DynamoDB that needs no internet.

    - `name`: tag `Name` of the endpoint.
    - `vpc_id`: the VPC.
    - `route_table_ids`: route tables of the subnets that take this way. All that these subnets ask of DynamoDB in this
      region then goes through the endpoint, and its policy refuses what is not named below. AWS takes one such
      endpoint for a route table.
    - `table_arns`: the tables that may be reached, with their indexes.
    - `actions`: what may be done with them; null for reading and writing items, and for asking what a table is.
    - `tags`: tags of the endpoint.
  EOT
  nullable    = false

  type = object({
    name            = string
    vpc_id          = string
    route_table_ids = set(string)
    table_arns      = set(string)
    actions         = optional(set(string))
    tags            = optional(map(string), {})
  })

  validation {
    condition     = can(regex("^vpc-[0-9a-f]+$", var.endpoint.vpc_id))
    error_message = "endpoint.vpc_id is \"${var.endpoint.vpc_id}\": give a VPC's id (vpc-…); EC2 finds no other."
  }

  validation {
    condition     = length(var.endpoint.route_table_ids) > 0 && alltrue([for id in var.endpoint.route_table_ids : can(regex("^rtb-[0-9a-f]+$", id))])
    error_message = "endpoint.route_table_ids are ids of route tables (rtb-…), at least one: without any, nothing would take this way. Given: ${join(", ", var.endpoint.route_table_ids)}."
  }

  validation {
    condition     = length(var.endpoint.table_arns) > 0 && alltrue([for arn in var.endpoint.table_arns : can(regex("^arn:[a-z-]+:dynamodb:[a-z0-9-]+:[0-9]{12}:table/[a-zA-Z0-9_.-]+$", arn))])
    error_message = "endpoint.table_arns are ARNs of tables (arn:…:dynamodb:<region>:<account>:table/<name>), at least one: the endpoint would refuse everything. Given: ${join(", ", var.endpoint.table_arns)}."
  }

  validation {
    condition     = alltrue([for action in coalesce(var.endpoint.actions, []) : can(regex("^dynamodb:[A-Za-z]+$", action))])
    error_message = "endpoint.actions are actions of DynamoDB by name (dynamodb:GetItem), without wildcards. Given: ${join(", ", coalesce(var.endpoint.actions, []))}."
  }
}
