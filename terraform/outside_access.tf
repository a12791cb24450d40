# Roles outside this stack that need a system's tables, too, and the documents that an administrator can review first.

locals {
  # The markers of idempotency are the functions' own.
  own_tables = { for name, system in local.systems : name => { for logical, table in system.tables : logical => table if logical != "idempotency" } }

  policy_documents = {
    for name, tables in local.own_tables : name => {
      for level in ["read", "write", "admin"] : level => jsonencode({
        Version   = "2012-10-17"
        Statement = flatten([for table in values(tables) : jsondecode(table.policy_documents[level]).Statement])
      })
    }
  }

  outside_access = { for system, access in var.attach_access_to_roles : system => access if contains(var.systems, system) && length(access.roles) > 0 }
}

resource "aws_iam_policy" "outside_access" {
  for_each = local.outside_access

  name        = local.names.policies[each.key]
  description = "${title(each.value.access)} access to the tables of ${replace(each.key, "_", " ")}"
  policy      = local.policy_documents[each.key][each.value.access]
}

resource "aws_iam_role_policy_attachment" "outside_access" {
  for_each = { for pair in flatten([for system, access in local.outside_access : [for role in access.roles : { system = system, role = role }]]) : "${pair.system}/${pair.role}" => pair }

  role       = each.value.role
  policy_arn = aws_iam_policy.outside_access[each.value.system].arn
}

moved {
  from = aws_iam_policy.agent_registry[0]
  to   = aws_iam_policy.outside_access["agent_registry"]
}
