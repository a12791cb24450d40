module "key" {
  source = "../.."

  key = {
    alias         = "invoices"
    description   = "Encrypts the invoices"
    rotation_days = 180
  }
}

module "invoices" {
  source = "../../../table"

  table = {
    name     = "Invoices"
    hash_key = { name = "id", type = "S" }
    # The key lets in whoever DynamoDB lets in: no policy has to name it.
    encryption          = { type = "CUSTOMER_MANAGED", kms_key_arn = module.key.arn, granted_by_key = true }
    deletion_protection = false
  }
}
