# Tables that exist already come into the state by `import`: nothing is made anew, and no item is touched. What has been
# imported once is left alone by Terraform, so the names may stay in `adopt_tables`.

locals {
  # The tables of the systems that are switched on.
  tables_in_use = {
    for table, named in local.table_names : table => named
    if contains(concat(tolist(var.systems), length(local.idempotent_systems) > 0 ? ["idempotency"] : []), split(".", table)[0])
  }

  adoptable = concat(values(local.tables_in_use)[*].name, try(keys(var.extra_tables), []))

  adopted = { for table in keys(local.table_names) : table => setintersection(var.adopt_tables, try([local.tables_in_use[table].name], [])) }
}

import {
  for_each = local.adopted["agent_registry.agents"]
  to       = module.agent_registry_table[0].aws_dynamodb_table.this
  id       = each.value
}

import {
  for_each = local.adopted["agent_profiles.profiles"]
  to       = module.agent_profiles_table[0].aws_dynamodb_table.this
  id       = each.value
}

import {
  for_each = local.adopted["agent_profiles.match"]
  to       = module.agent_profiles_match_table[0].aws_dynamodb_table.this
  id       = each.value
}

import {
  for_each = local.adopted["agent_profiles.conversations"]
  to       = module.agent_conversations_table[0].aws_dynamodb_table.this
  id       = each.value
}

import {
  for_each = local.adopted["agent_sessions.sessions"]
  to       = module.agent_sessions_table[0].aws_dynamodb_table.this
  id       = each.value
}

import {
  for_each = local.adopted["agent_sessions.messages"]
  to       = module.agent_messages_table[0].aws_dynamodb_table.this
  id       = each.value
}

import {
  for_each = local.adopted["pet_store.pets"]
  to       = module.pet_store_table[0].aws_dynamodb_table.this
  id       = each.value
}

import {
  for_each = local.adopted["chat_sessions.sessions"]
  to       = module.chat_sessions_table[0].aws_dynamodb_table.this
  id       = each.value
}

import {
  for_each = local.adopted["idempotency.markers"]
  to       = module.idempotency_table[0].aws_dynamodb_table.this
  id       = each.value
}

import {
  for_each = setintersection(var.adopt_tables, keys(var.extra_tables))
  to       = module.extra_table[each.value].aws_dynamodb_table.this
  id       = each.value
}
