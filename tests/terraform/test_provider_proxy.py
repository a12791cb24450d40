"""What Terraform is told of the provider's schema in tests: all of it but the types that nothing here names."""

import pytest

from tests.terraform.provider_proxy import names_in_use, without_types_but

PROVIDER, RESOURCE, DATA, DIAGNOSTIC, CAPABILITIES, FUNCTION, EPHEMERAL = 1, 2, 3, 4, 6, 7, 8


def field(number: int, content: bytes) -> bytes:
    length = len(content)
    return bytes([number << 3 | 2, *([length] if length < 128 else [length & 127 | 128, length >> 7])]) + content


def of(number: int, name: str, content: bytes = b"its schema") -> bytes:
    """An entry of a map: a type's name and what is said of it."""
    return field(number, field(1, name.encode()) + field(2, content))


def test_types_that_nothing_names_are_left_out_and_all_else_is_as_it_was() -> None:
    kept = [
        field(PROVIDER, b"region and so on"),
        of(RESOURCE, "aws_used", b"long " * 100),
        of(DATA, "aws_used"),
        field(DIAGNOSTIC, b"something odd"),
        field(CAPABILITIES, b"\x08\x01"),
        of(FUNCTION, "arn_parse"),
        bytes([9 << 3, 0x96, 0x01]),  # a number
    ]
    left_out = [of(kind, "aws_unused") for kind in (RESOURCE, DATA, EPHEMERAL)]
    schema = b"".join(part for pair in zip(kept, [*left_out, *[b""] * 4], strict=True) for part in pair)
    assert without_types_but({"aws_used"}, schema) == b"".join(kept)


def test_what_is_no_schema_is_refused() -> None:
    with pytest.raises(ValueError, match="wire type 5"):
        without_types_but(set(), bytes([1 << 3 | 5, 0, 0, 0, 0]))


def test_the_code_and_the_tests_are_looked_through_for_types() -> None:
    assert {"aws_dynamodb_table", "aws_lambda_alias", "aws_s3_bucket"} <= names_in_use()
