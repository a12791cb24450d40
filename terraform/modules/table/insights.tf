# Which keys are used and throttled most, counted by CloudWatch.

locals {
  insights = merge(
    { for place in ["table"] : place => null if var.table.contributor_insights },
    { for name, index in var.table.indexes : "index ${name}" => name if index.contributor_insights == null ? var.table.contributor_insights : index.contributor_insights },
  )
}

resource "aws_dynamodb_contributor_insights" "this" {
  for_each = local.insights

  table_name = aws_dynamodb_table.this.name
  index_name = each.value
}
