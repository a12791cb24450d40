# What a table that exists may have beside it, and is taken over with it: autoscaling and contributor insights.
# Terraform wants an import block for each resource of each table; `adopt_table_parts` switches them on.

locals {
  # Ids as the provider wants them, by table; places are those of the table module: `table read`, `index by-city write`.
  adopted_parts = {
    for table, parts in var.adopt_table_parts : table => merge(
      { for kind in ["targets", "policies"] : kind => {
        for place in parts.autoscaling : place => join("/", concat(
          ["dynamodb/table", table],
          startswith(place, "index ") ? ["index", split(" ", place)[1]] : [],
          ["dynamodb:${split(" ", place)[0]}:${endswith(place, " read") ? "Read" : "Write"}CapacityUnits"],
          kind == "policies" ? ["DynamoDB${endswith(place, " read") ? "Read" : "Write"}CapacityUtilization:table", table] : [],
          kind == "policies" && startswith(place, "index ") ? ["index", split(" ", place)[1]] : [],
        ))
      } },
      {
        insights = {
          for place in parts.contributor_insights : place =>
          "name:${table}/index:${place == "table" ? "" : trimprefix(place, "index ")}/${data.aws_caller_identity.current.account_id}"
        }
      },
    )
  }

  no_parts = { targets = {}, policies = {}, insights = {} }
  system_parts = {
    for table, names in local.adopted : table => try(local.adopted_parts[one(names)], local.no_parts)
  }

  # One block stands for all extra tables.
  extra_parts = {
    for kind in keys(local.no_parts) : kind => merge([
      for table in setintersection(keys(var.extra_tables), keys(local.adopted_parts)) : {
        for place, id in local.adopted_parts[table][kind] : "${table} ${place}" => { table = table, place = place, id = id }
      }
    ]...)
  }
}

import {
  for_each = local.extra_parts.targets
  to       = module.extra_table[each.value.table].aws_appautoscaling_target.this[each.value.place]
  id       = each.value.id
}

import {
  for_each = local.extra_parts.policies
  to       = module.extra_table[each.value.table].aws_appautoscaling_policy.this[each.value.place]
  id       = each.value.id
}

import {
  for_each = local.extra_parts.insights
  to       = module.extra_table[each.value.table].aws_dynamodb_contributor_insights.this[each.value.place]
  id       = each.value.id
}

import {
  for_each = local.system_parts["agent_registry.agents"].targets
  to       = module.agent_registry_table[0].aws_appautoscaling_target.this[each.key]
  id       = each.value
}

import {
  for_each = local.system_parts["agent_registry.agents"].policies
  to       = module.agent_registry_table[0].aws_appautoscaling_policy.this[each.key]
  id       = each.value
}

import {
  for_each = local.system_parts["agent_registry.agents"].insights
  to       = module.agent_registry_table[0].aws_dynamodb_contributor_insights.this[each.key]
  id       = each.value
}

import {
  for_each = local.system_parts["agent_profiles.profiles"].targets
  to       = module.agent_profiles_table[0].aws_appautoscaling_target.this[each.key]
  id       = each.value
}

import {
  for_each = local.system_parts["agent_profiles.profiles"].policies
  to       = module.agent_profiles_table[0].aws_appautoscaling_policy.this[each.key]
  id       = each.value
}

import {
  for_each = local.system_parts["agent_profiles.profiles"].insights
  to       = module.agent_profiles_table[0].aws_dynamodb_contributor_insights.this[each.key]
  id       = each.value
}

import {
  for_each = local.system_parts["agent_profiles.match"].targets
  to       = module.agent_profiles_match_table[0].aws_appautoscaling_target.this[each.key]
  id       = each.value
}

import {
  for_each = local.system_parts["agent_profiles.match"].policies
  to       = module.agent_profiles_match_table[0].aws_appautoscaling_policy.this[each.key]
  id       = each.value
}

import {
  for_each = local.system_parts["agent_profiles.match"].insights
  to       = module.agent_profiles_match_table[0].aws_dynamodb_contributor_insights.this[each.key]
  id       = each.value
}

import {
  for_each = local.system_parts["agent_profiles.conversations"].targets
  to       = module.agent_conversations_table[0].aws_appautoscaling_target.this[each.key]
  id       = each.value
}

import {
  for_each = local.system_parts["agent_profiles.conversations"].policies
  to       = module.agent_conversations_table[0].aws_appautoscaling_policy.this[each.key]
  id       = each.value
}

import {
  for_each = local.system_parts["agent_profiles.conversations"].insights
  to       = module.agent_conversations_table[0].aws_dynamodb_contributor_insights.this[each.key]
  id       = each.value
}

import {
  for_each = local.system_parts["agent_sessions.sessions"].targets
  to       = module.agent_sessions_table[0].aws_appautoscaling_target.this[each.key]
  id       = each.value
}

import {
  for_each = local.system_parts["agent_sessions.sessions"].policies
  to       = module.agent_sessions_table[0].aws_appautoscaling_policy.this[each.key]
  id       = each.value
}

import {
  for_each = local.system_parts["agent_sessions.sessions"].insights
  to       = module.agent_sessions_table[0].aws_dynamodb_contributor_insights.this[each.key]
  id       = each.value
}

import {
  for_each = local.system_parts["agent_sessions.messages"].targets
  to       = module.agent_messages_table[0].aws_appautoscaling_target.this[each.key]
  id       = each.value
}

import {
  for_each = local.system_parts["agent_sessions.messages"].policies
  to       = module.agent_messages_table[0].aws_appautoscaling_policy.this[each.key]
  id       = each.value
}

import {
  for_each = local.system_parts["agent_sessions.messages"].insights
  to       = module.agent_messages_table[0].aws_dynamodb_contributor_insights.this[each.key]
  id       = each.value
}

import {
  for_each = local.system_parts["pet_store.pets"].targets
  to       = module.pet_store_table[0].aws_appautoscaling_target.this[each.key]
  id       = each.value
}

import {
  for_each = local.system_parts["pet_store.pets"].policies
  to       = module.pet_store_table[0].aws_appautoscaling_policy.this[each.key]
  id       = each.value
}

import {
  for_each = local.system_parts["pet_store.pets"].insights
  to       = module.pet_store_table[0].aws_dynamodb_contributor_insights.this[each.key]
  id       = each.value
}

import {
  for_each = local.system_parts["chat_sessions.sessions"].targets
  to       = module.chat_sessions_table[0].aws_appautoscaling_target.this[each.key]
  id       = each.value
}

import {
  for_each = local.system_parts["chat_sessions.sessions"].policies
  to       = module.chat_sessions_table[0].aws_appautoscaling_policy.this[each.key]
  id       = each.value
}

import {
  for_each = local.system_parts["chat_sessions.sessions"].insights
  to       = module.chat_sessions_table[0].aws_dynamodb_contributor_insights.this[each.key]
  id       = each.value
}

import {
  for_each = local.system_parts["idempotency.markers"].targets
  to       = module.idempotency_table[0].aws_appautoscaling_target.this[each.key]
  id       = each.value
}

import {
  for_each = local.system_parts["idempotency.markers"].policies
  to       = module.idempotency_table[0].aws_appautoscaling_policy.this[each.key]
  id       = each.value
}

import {
  for_each = local.system_parts["idempotency.markers"].insights
  to       = module.idempotency_table[0].aws_dynamodb_contributor_insights.this[each.key]
  id       = each.value
}
