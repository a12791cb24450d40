import pytest

from common import settings
from common.dynamodb import DynamoDB
from common.memory import MemoryDatabase


def test_the_mode_chooses_the_database() -> None:
    assert isinstance(settings.database({"PERSISTENCE": "memory"}), MemoryDatabase)
    for mode in ({}, {"PERSISTENCE": "dynamodb"}):
        assert isinstance(settings.database({**mode, "AWS_REGION": "eu-north-1"}), DynamoDB)


def test_a_mode_that_there_is_not_names_those_there_are() -> None:
    with pytest.raises(RuntimeError, match="dynamodb or memory"):
        settings.database({"PERSISTENCE": "redis"})


@pytest.mark.parametrize("environment", [{}, {"X": ""}])
def test_what_is_missing_is_named(environment: dict[str, str]) -> None:
    with pytest.raises(RuntimeError, match="environment variable X"):
        settings.required(environment, "X")
