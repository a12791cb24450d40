# Tables that exist already come into the state by `import`: nothing is made anew, and no item is touched. What has been
# imported once is left alone by Terraform, so the names may stay in `adopt_tables`.

locals {
  # The tables of the systems that are switched on, by the variable that names them.
  tables_in_use = {
    for variable, name in local.table_names : variable => name
    if contains(concat(tolist(var.systems), length(local.idempotent_systems) > 0 ? ["idempotency"] : []), split(".", variable)[0])
  }

  adopted = { for variable in keys(local.table_names) : variable => setintersection(var.adopt_tables, [try(local.tables_in_use[variable], "")]) }
}

import {
  for_each = local.adopted["agent_registry.table_name"]
  to       = module.agent_registry_table[0].aws_dynamodb_table.this
  id       = each.value
}

import {
  for_each = local.adopted["agent_profiles.profiles_table_name"]
  to       = module.agent_profiles_table[0].aws_dynamodb_table.this
  id       = each.value
}

import {
  for_each = local.adopted["agent_profiles.match_table_name"]
  to       = module.agent_profiles_match_table[0].aws_dynamodb_table.this
  id       = each.value
}

import {
  for_each = local.adopted["agent_profiles.conversations_table_name"]
  to       = module.agent_conversations_table[0].aws_dynamodb_table.this
  id       = each.value
}

import {
  for_each = local.adopted["agent_sessions.sessions_table_name"]
  to       = module.agent_sessions_table[0].aws_dynamodb_table.this
  id       = each.value
}

import {
  for_each = local.adopted["agent_sessions.messages_table_name"]
  to       = module.agent_messages_table[0].aws_dynamodb_table.this
  id       = each.value
}

import {
  for_each = local.adopted["pet_store.table_name"]
  to       = module.pet_store_table[0].aws_dynamodb_table.this
  id       = each.value
}

import {
  for_each = local.adopted["chat_sessions.table_name"]
  to       = module.chat_sessions_table[0].aws_dynamodb_table.this
  id       = each.value
}

import {
  for_each = local.adopted["idempotency.table_name"]
  to       = module.idempotency_table[0].aws_dynamodb_table.this
  id       = each.value
}
