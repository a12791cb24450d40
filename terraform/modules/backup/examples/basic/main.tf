module "backup" {
  source = "../.."

  backup = {
    name       = "orders-backup"
    table_arns = [module.orders.arn]

    rules = {
      daily   = { schedule = "cron(0 5 * * ? *)", delete_after_days = 35 }
      monthly = { schedule = "cron(0 6 1 * ? *)", delete_after_days = 365 }
    }

    # Nobody deletes a backup in its first week. It can be taken off again: see Day 2 before adding changeable_for_days.
    lock = { min_retention_days = 7, max_retention_days = 400 }
  }
}

module "orders" {
  source = "../../../table"

  table = {
    name                = "Orders"
    hash_key            = { name = "id", type = "S" }
    deletion_protection = false
  }
}
