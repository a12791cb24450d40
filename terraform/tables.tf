# What each table becomes: what all have in common, what its system needs of it, and what a person says of it.

locals {
  # What all tables have in common, unless a system says otherwise.
  table_defaults = {
    point_in_time_recovery_days = var.enable_pitr ? var.point_in_time_recovery_days : 0
    deletion_protection         = var.deletion_protection
    encryption                  = local.table_encryption
  }

  # What each system says, in its own file.
  table_definitions = merge(
    local.agent_profiles_tables, local.agent_registry_tables, local.agent_sessions_tables, local.chat_sessions_tables,
    local.idempotency_tables, local.pet_store_tables,
  )

  # What a person says; null says nothing.
  table_settings = {
    for table in keys(local.table_definitions) : table => {
      for field, value in try(var.tables[table], {}) : field => value if value != null
    }
  }

  # Numbers that a system states are for its own billing mode: where a person chooses another, they mean nothing.
  capacity_fields = ["billing_mode", "read_capacity", "write_capacity", "autoscaling"]
  left_out = {
    for table, definition in local.table_definitions : table =>
    try(local.table_settings[table].billing_mode, null) == null || try(local.table_settings[table].billing_mode == definition.billing_mode, false) ? [] : local.capacity_fields
  }

  tables = {
    for table, definition in local.table_definitions : table => merge(
      local.table_defaults,
      { for field, value in definition : field => value if !contains(local.left_out[table], field) },
      local.table_settings[table],
      local.table_tags[table],
      {
        name    = local.table_names[table].name
        adopt   = length(local.adopted[table]) > 0
        indexes = local.table_indexes[table]
      },
    )
  }

  table_tags = {
    for table, settings in local.table_settings : table => {
      tags       = merge(local.tags, try(settings.tags, {}))
      table_tags = try(settings.own_tags_only, false) ? try(settings.tags, {}) : null
    }
  }
}

# Indexes, under the names that they have just now: while one is being replaced there are two of it (index_migrations).

locals {
  # `<system>.<table>/<index>`, as the systems define them.
  system_indexes = flatten([
    for table, definition in local.table_definitions : [for index in keys(try(definition.indexes, {})) : "${table}/${index}"]
  ])

  index_names = merge([
    for table, definition in local.table_definitions : {
      for index in keys(try(definition.indexes, {})) : "${table}/${index}" => merge(
        { own = index, old = index, new = index, read = index, all = [index] },
        [
          for migration in try([var.index_migrations["${table}/${index}"]], []) : {
            old  = try(migration.from.name, index)
            new  = migration.name
            read = migration.stage == "add" ? try(migration.from.name, index) : migration.name
            all  = migration.stage == "done" ? [migration.name] : [try(migration.from.name, index), migration.name]
          }
        ]...
      )
    }
  ]...)

  # What a migration changes of the index that the system defines: in the old one (`from`) and in the new one.
  index_changes = merge([
    for key, migration in var.index_migrations : {
      for name, changed in { (try(migration.from.name, split("/", key)[1])) = migration.from, (migration.name) = migration } :
      "${split("/", key)[0]}/${name}" => try({
        for field, value in changed : field => value
        if value != null && contains(["range_key", "projection_type", "non_key_attributes"], field)
      }, {})
    }
  ]...)

  index_settings = {
    for table in keys(local.table_definitions) : table => {
      for index, settings in try(var.tables[table].indexes, {}) : index => { for field, value in settings : field => value if value != null }
    }
  }

  table_indexes = {
    for table, definition in local.table_definitions : table => merge(concat(
      [
        for index, stated in try(definition.indexes, {}) : {
          for name in local.index_names["${table}/${index}"].all : name => merge(
            { for field, value in stated : field => value if !contains(local.left_out[table], field) },
            try(local.index_settings[table][index], {}),
            try(local.index_changes["${table}/${name}"], {}),
            try(local.index_settings[table][name], {}),
          )
        }
      ],
      # Indexes that the system knows nothing of.
      [{
        for index, settings in local.index_settings[table] : index => settings
        if !contains(local.system_index_names[table], index)
      }],
    )...)
  }

  # Under all names that a system's indexes have, had or will have.
  system_index_names = {
    for table, definition in local.table_definitions : table => flatten([
      for index in keys(try(definition.indexes, {})) : values({ for kind in ["own", "old", "new"] : kind => local.index_names["${table}/${index}"][kind] })
    ])
  }
}

# Tables that belong to no system.

locals {
  extra_table_fields = {
    tables = [
      "alarms", "autoscaling", "billing_mode", "contributor_insights", "deletion_protection", "encryption", "hash_key",
      "indexes", "on_demand_throughput", "own_tags_only", "point_in_time_recovery_days", "range_key", "read_capacity",
      "replicas", "resource_policy", "stream_view_type", "table_class", "tags", "ttl", "write_capacity",
    ]
    indexes = [
      "autoscaling", "contributor_insights", "hash_key", "non_key_attributes", "on_demand_throughput", "projection_type",
      "range_key", "read_capacity", "write_capacity",
    ]
  }
}

module "extra_table" {
  source    = "./modules/table"
  for_each  = var.extra_tables
  providers = { aws = aws.tables }

  table = merge(local.table_defaults, { for field, value in each.value : field => value if value != null }, {
    name       = each.key
    adopt      = contains(var.adopt_tables, each.key)
    tags       = merge(local.tags, try(each.value.tags, {}))
    table_tags = try(each.value.own_tags_only, false) ? try(each.value.tags, {}) : null
  })

  alarms = merge(local.table_alarms, { enabled = local.table_alarms.enabled && try(each.value.alarms, false) })
}
