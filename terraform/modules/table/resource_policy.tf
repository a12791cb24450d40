# Who may use the table beyond what this account's IAM says, other accounts for example.

resource "aws_dynamodb_resource_policy" "this" {
  count = var.table.resource_policy == null ? 0 : 1

  resource_arn = aws_dynamodb_table.this.arn
  policy       = var.table.resource_policy
}
