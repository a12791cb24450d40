output "id" {
  description = "Id of the endpoint, for conditions on `aws:SourceVpce`."
  value       = aws_vpc_endpoint.this.id
}

output "prefix_list_id" {
  description = "Prefix list of DynamoDB's addresses, for egress rules of security groups: without such a rule (TCP 443) they refuse the way."
  value       = aws_vpc_endpoint.this.prefix_list_id
}

output "policy" {
  description = "The endpoint's policy as JSON, known in the plan."
  value       = aws_vpc_endpoint.this.policy
}
