# Only beside the changed variables: tables that are there and are taken over, and one that moves with all its items.

import {
  to = module.table["adopted"].aws_dynamodb_table.this
  id = "adopted"
}

import {
  to = module.table["adopted-with-other-key"].aws_dynamodb_table.this
  id = "adopted-with-other-key"
}

moved {
  from = module.table["moved-from"]
  to   = module.table["moved-to"]
}
