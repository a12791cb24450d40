module "agents" {
  source = "../.."

  table = {
    name     = "Agents"
    hash_key = { name = "agentId", type = "S" }
    ttl      = { attribute = "ttl" }

    indexes = {
      ByJob = {
        hash_key        = { name = "job", type = "S" }
        range_key       = { name = "since", type = "N" }
        projection_type = "KEYS_ONLY"
      }
    }

    # An example comes and goes. Where there is data, leave this line out.
    deletion_protection = false
  }

  alarms = { system_error_operations = ["GetItem", "PutItem", "Query"] }
}

# What its users need: known in the plan, to be reviewed before it is attached to anything.
output "policy_document" {
  value = module.agents.policy_documents.write
}
