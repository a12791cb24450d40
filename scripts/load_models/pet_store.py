"""All clients add pets, whose numbers one counter gives out; some requests are sent twice."""

import itertools
import random
import threading
import uuid
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from botocore.exceptions import ClientError

from scripts.console import CommandError
from scripts.load_models import Calls, Findings, Sent, UnansweredError, at_once, dynamodb, items, settled

COUNTER = {"id": {"N": "0"}}
# Of one call to DynamoDB, as common.dynamodb_client makes them
ATTEMPTS_A_REQUEST = 10


class Model:
    """Acknowledged pets by number; numbers that more than one request got are duplicates."""

    def __init__(self, calls: Calls, tables: Mapping[str, str], mark: str, clients: int) -> None:
        self._calls, self._table, self._mark = calls, tables["pets"], mark
        self._lock = threading.Lock()
        self._names = itertools.count()
        self._pets: dict[int, tuple[str, Decimal]] = {}
        self._given_twice: list[int] = []
        self._unanswered: set[str] = set()
        self._last: list[Sent | None] = [None] * clients

    def prepare(self) -> None:
        self._calls.send("GET", "/pets?limit=1")

    def act(self, client: int, chance: random.Random) -> None:
        last, turn = self._last[client], chance.random()
        if last is None or turn < 0.6:
            self._add(client, chance)
        elif turn < 0.7:
            again = self._calls.send("POST", "/pets", last.body, last.headers, expect=(201,))
            if again.body != last.answer or again.headers.get("idempotency-replayed") != "true":
                raise CommandError(f"a repeated request was answered {again.body}, and {last.answer} at first")
        elif turn < 0.9:
            found = self._calls.send("GET", f"/pets/{last.answer['id']}").body
            if found != last.answer:
                raise CommandError(f"pet {last.answer['id']} is {found}, and {last.answer} was acknowledged")
        else:
            self._calls.send("GET", f"/pets?type={self._mark}&minPrice=100&limit=10")

    def _add(self, client: int, chance: random.Random) -> None:
        price = Decimal(chance.randint(1, 99_999)) / 100
        name = f"{self._mark}-{next(self._names)}"
        body = {"name": name, "type": self._mark, "price": float(price)}
        headers = {"idempotency-key": uuid.uuid4().hex}
        try:
            pet = self._calls.send("POST", "/pets", body, headers, expect=(201,)).body
        except UnansweredError:
            with self._lock:
                self._unanswered.add(name)
            raise
        with self._lock:
            if pet["id"] in self._pets:
                self._given_twice.append(pet["id"])
            self._pets[pet["id"]] = (name, price)
        self._last[client] = Sent(body, headers, pet)

    def check(self, findings: Findings) -> None:
        findings.duplicates += [f"number {pet} was given to two pets" for pet in self._given_twice]
        # by name: each stands for one request
        expected = {name: (pet, price) for pet, (name, price) in self._pets.items()}
        listed = settled(lambda: sorted(self._listed()), sorted(expected.items()))
        findings.compare("GET /pets?type=…", expected, listed, self._unanswered)
        findings.compare(self._table, expected, self._stored(), self._unanswered)
        self._check_numbers(findings)

    def _listed(self) -> Iterator[tuple[str, tuple[int, Decimal]]]:
        for pet in self._calls.pages("/pets", "pets", type=self._mark):
            yield pet["name"], (pet["id"], Decimal(str(pet["price"])))

    def _stored(self) -> Iterator[tuple[str, tuple[int, Decimal]]]:
        for pet in items(self._table, map(_key, self._pets)):
            yield pet["name"], (int(pet["id"]), pet["price"])

    def _check_numbers(self, findings: Findings) -> None:
        """No number is left out but by a write that failed, or with a block, and the counter is past them all."""
        if not self._pets:
            return
        first, last = min(self._pets), max(self._pets)
        others = {int(pet["id"]) for pet in items(self._table, map(_key, set(range(first, last)) - set(self._pets)))}
        missing = set(range(first, last)) - set(self._pets) - others
        in_blocks = "ID_BLOCK_SIZE" in self._calls.environment
        if missing and not in_blocks and len(missing) > self._may_be_left_out():
            findings.lost.append(f"no pet has the numbers {sorted(missing)[:10]}, and no write failed")
        (counter,) = items(self._table, [COUNTER])
        if counter["last"] < last:
            findings.wrong.append(f"the counter stands at {counter['last']}, and {last} was given out")
        findings.checked += last - first + 1

    def _may_be_left_out(self) -> int:
        """A number is gone when the answer that gave it out was lost: the function then asks for another."""
        return self._calls.retries() + ATTEMPTS_A_REQUEST * self._calls.failed

    def remove(self) -> None:
        """The pets, and their numbers from the counter, unless others were given higher ones meanwhile."""
        client = dynamodb()
        for pet in self._calls.pages("/pets", "pets", type=self._mark):  # also what nobody was told of
            self._pets.setdefault(pet["id"], (pet["name"], Decimal(0)))

        def delete(pet: int) -> None:
            _unless(
                lambda: client.delete_item(
                    TableName=self._table,
                    Key=_key(pet),
                    ConditionExpression="#type = :mark",
                    ExpressionAttributeNames={"#type": "type"},
                    ExpressionAttributeValues={":mark": {"S": self._mark}},
                )
            )

        at_once(delete, self._pets)
        if self._pets and len(self._pets) == max(self._pets) - min(self._pets) + 1:
            _unless(
                lambda: client.update_item(
                    TableName=self._table,
                    Key=COUNTER,
                    UpdateExpression="SET #last = :before",
                    ConditionExpression="#last = :last",
                    ExpressionAttributeNames={"#last": "last"},
                    ExpressionAttributeValues={
                        ":last": {"N": str(max(self._pets))},
                        ":before": {"N": str(min(self._pets) - 1)},
                    },
                )
            )


def _key(pet: int) -> dict[str, Any]:
    return {"id": {"N": str(pet)}}


def _unless(write: Any) -> None:
    """A conditional write; nothing happens where the condition does not hold."""
    try:
        write()
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
