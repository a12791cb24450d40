"""A system's tables and function as Terraform would state them, from those that a contract test has on an engine."""

from collections.abc import Iterator

from scripts.applied_state import Instance
from tests.contract.application import Application


def function_of(application: Application, system: str) -> Instance:
    stated = {"function_name": system, "environment": [{"variables": application.environment}]}
    return Instance(f"module.{system}_function[0]", "aws_lambda_function", stated)


def tables_of(application: Application, system: str) -> Iterator[Instance]:
    """As Terraform would state those that the application uses."""
    for name in application.environment.values():
        try:
            described = application.engine.boto3.describe_table(TableName=name)["Table"]
        except application.engine.boto3.exceptions.ClientError:
            continue
        keys = [key["AttributeName"] for key in described["KeySchema"]]
        indexes = [
            {
                "name": index["IndexName"],
                **dict(zip(("hash_key", "range_key"), (k["AttributeName"] for k in index["KeySchema"]), strict=False)),
                "projection_type": index["Projection"]["ProjectionType"],
            }
            for index in described.get("GlobalSecondaryIndexes", [])
        ]
        attributes = [
            {"name": one["AttributeName"], "type": one["AttributeType"]} for one in described["AttributeDefinitions"]
        ]
        stated = {"name": name, "billing_mode": "PAY_PER_REQUEST", "attribute": attributes}
        stated |= dict(zip(("hash_key", "range_key"), keys, strict=False))
        yield Instance(f"module.{system}_table[0]", "aws_dynamodb_table", {**stated, "global_secondary_index": indexes})
