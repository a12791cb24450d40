"""Nobody can notice, read, list, guess or change what is another's: by no id, token, cursor, header or key.

Everything is asked in two worlds, see worlds.py: in one somebody else has records, in the other nobody has. Whoever
asks may know all that is the other's, down to the keys of items and what else is stored; the answers of the two worlds
must be the same, byte for byte, and every item of the other must stay as it is.

The routes, what they take and how they follow from each other come from the contracts: one that is added is asked, too.
"""

import base64
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import page_tokens, paging
from tests.contract.engines import Engine
from tests.contract.systems import SYSTEMS, Operation, operations
from tests.contract.worlds import OWNED, STATED, Life, Person, Place, World, places, strings
from tests.fuzzing import FACTOR, budget
from tests.unit.http_events import KINDS

ROUNDS = 2
# Of the probes of every place with everything that is known, every so manieth is sent to an engine behind a socket
STRIDE = 31
OF_EACH_FORM = FACTOR
# By whether it is memory, and whether records have owners
EXAMPLES = {True: {True: 40, False: 12}, False: {True: 4, False: 2}}
# Who calls stands in a token or, for a system that knows such headers, is stated by a trusted service. The other is of
# another tenant, or another user of the same.
WAYS = [
    *((system, False, "acme-2") for system in SYSTEMS),
    ("agent_sessions", True, "acme-2"),
    ("agent_sessions", False, "acme"),
    ("agent_sessions", True, "acme"),
]


class Probing:
    """What `me` can learn of `other`, who is there in one of two worlds only."""

    def __init__(self, here: World, alone: World, system: str, me: Person, other: Person) -> None:
        self.here, self.alone, self.system = here, alone, system
        self.me, self.other = Life(system, me), Life(system, other)
        self.step = self.probes = 0
        self.leaks: list[str] = []
        self.known: dict[str, None] = dict.fromkeys([other.tenant, other.user, *_joined(other)])
        for life in (self.me, self.other):
            for n in range(ROUNDS):
                for operation in life.operations:
                    if operation.method != "DELETE":
                        self.own(life, operation, key=f"key-{life.person.user == me.user}-{n}-{operation.path}")
            self.begin(life)
        self._read_lists()
        self.theirs = self.here.items() - self.alone.items()
        for digest, item in here.digested():
            if digest in self.theirs:
                self.known |= dict.fromkeys(strings(item))

    def begin(self, life: Life) -> None:
        """Whatever leads to other routes, see the contract's links."""
        for operation in life.operations:
            if any("links" in answer for answer in operation.declared["responses"].values()):
                self.own(life, operation)

    def own(self, life: Life, operation: Operation, key: str = "", query: Mapping[str, str] | None = None) -> Any:
        """A request of somebody to what is their own; the other's in one world, or at least its key only there."""
        self.step += 1
        more = {("query", name): value for name, value in (query or {}).items()}
        sent = life.request(operation, {**more, ("header", "idempotency-key"): key} if key.isascii() and key else more)
        without = sent._replace(
            headers={name: value for name, value in sent.headers.items() if name != "idempotency-key"}
        )
        if life is self.me:
            self.alone.answer(sent, life.person, self.step)
        elif self.system not in OWNED:
            self.alone.answer(without, life.person, self.step)
        answer = self.here.answer(sent, life.person, self.step)
        life.learn(operation, answer)
        if life is self.other:
            said = [*answer["headers"].values(), *strings(_json(answer))]
            # what belongs to nobody is no secret, but a page's token is
            self.known |= dict.fromkeys([key, *(one for one in said if self.system in OWNED or _position(one))])
        return answer

    def _read_lists(self) -> None:
        """For the tokens of pages."""
        for operation in self.other.operations:
            if ("query", "limit") in places(operation) and operation.method == "GET":
                more: dict[str, str] = {}
                for _ in range(2):
                    answer = self.own(self.other, operation, query={"limit": "1", **more})
                    more = {"next_token": token} if (token := (_json(answer) or {}).get("next_token")) else more

    def ask(self, operation: Operation, replaced: Mapping[Place, str], kind: str = "http") -> dict[str, Any]:
        self.step += 1
        self.probes += 1
        sent = self.me.request(operation, replaced)
        answer = self.here.answer(sent, self.me.person, self.step, kind)
        expected = self.alone.answer(sent, self.me.person, self.step, kind)
        if answer != expected or answer["statusCode"] >= 500:
            self.leaks.append(f"{sent}\n  {answer}\nwhere nobody else is\n  {expected}")
        return answer

    def forged(self, operation: Operation) -> Iterator[str]:
        """Tokens for the list that is asked, with the other's positions: their checksum is no secret."""
        self.ask(operation, {})
        scope = self.here.scope
        for text in _of_each_form(self.known, OF_EACH_FORM):
            position = _position(text)
            yield paging.token(text if position is None else position, *scope)

    def may_be_put(self, place: Place) -> bool:
        """A service that signs its requests is whoever it says to be."""
        return not (self.me.person.trusted and place[0] == "header" and place[1] in STATED.values())

    def end(self, guarantee: Any) -> None:
        """The other's items must be as they were, and the only difference of the two worlds."""
        here, alone = self.here.items(), self.alone.items()
        changed = ((here - alone - self.theirs) + (self.theirs - (here - alone)) + (alone - here)).total()
        guarantee("isolation", probes=self.probes, leaked=len(self.leaks), items_changed=changed)
        assert not self.leaks, "\n".join(self.leaks[:5])
        assert not changed


def _joined(person: Person) -> list[str]:
    return [f"{person.tenant}{separator}{person.user}" for separator in ("#", "/", ",", ":", "|", " ", '","', "%23")]


def _of_each_form(texts: Iterable[str], most: int) -> list[str]:
    """Of texts that differ in letters and digits only, such as ids and times, so many."""
    met: Counter[str] = Counter()
    found = []
    for text in texts:
        form = re.sub("[a-z]+", "a", re.sub("[A-Z]+", "A", re.sub("[0-9]+", "0", text)))
        form = (
            "hexadecimal" if re.fullmatch("[0-9a-f]{32,}", text) else "token" if _position(text) is not None else form
        )
        met[form] += 1
        if met[form] <= most:
            found.append(text)
    return found


def _json(answer: Mapping[str, Any]) -> Any:
    return json.loads(answer["body"]) if answer["body"] else None


def _position(token: str) -> Any:
    """What a page's token holds; None for what is none."""
    try:
        return json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))[page_tokens._CHECKSUM_BYTES :])
    except ValueError:
        return None


@contextmanager
def probing(engine: Engine, system: str, me: Person, other: Person) -> Iterator[Probing]:
    new = partial(SYSTEMS[system].new, engine, LOG_LEVEL="ERROR")
    with new() as here, new() as alone:
        yield Probing(World(here), World(alone), system, me, other)


@pytest.mark.parametrize(("system", "trusted", "tenant"), WAYS)
def test_everything_known_of_another_in_every_place_of_every_route(
    engine: Engine, system: str, trusted: bool, tenant: str, guarantee: Any
) -> None:
    me, other = Person("acme", "user-1", trusted), Person(tenant, "user-2", trusted)
    routes = _last_removing(system)
    for together in [[one] for one in routes] if engine.url is None else [routes]:
        with probing(engine, system, me, other) as play:
            for operation in together:
                _put_everywhere(play, operation, 1 if engine.url is None else STRIDE)
            play.end(guarantee)
            # all of it proves something only if each route has something for the other
            play.begin(play.other)
            for operation in together:
                answer = play.own(play.other, operation)
                assert answer["statusCode"] < 300, f"{operation.name}: {answer}"


def _last_removing(system: str) -> list[Operation]:
    """A system's routes, so that all are called while there is something."""
    return sorted((one for one in operations() if one.system == system), key=lambda one: one.method == "DELETE")


def _put_everywhere(play: Probing, operation: Operation, stride: int) -> None:
    number, known, tokens = 0, _of_each_form(play.known, OF_EACH_FORM), list(play.forged(operation))
    for place in filter(play.may_be_put, places(operation)):
        for value in [*known, *(tokens if place == ("query", "next_token") else ())]:
            number += 1
            if number % stride == 0:
                play.ask(operation, {place: value}, KINDS[number // stride % len(KINDS)])


NAMES = st.sampled_from(
    [
        "1",
        "10",
        "a",
        "tenant",
        "a#b",
        "é",
        "\uff41",
        "user#1",
        "SESSION#1",
        "USER#1",
        "active",
        "METADATA",
        '"a"',
        "[1]",
        "x" * 255,
    ]
) | st.text(min_size=1, max_size=8)
LOOKALIKES = [
    lambda name: name + "0",
    lambda name: name + "#b",
    lambda name: name + " ",
    lambda name: name + "\u200b",
    lambda name: name + "\u00a0",
    lambda name: name + "/",
    lambda name: name + "\x00",
    lambda name: name[:-1],
    lambda name: name[:0],
    lambda name: name[:0] + " ",
    lambda name: name.swapcase(),
    lambda name: name.casefold(),
    lambda name: unicodedata.normalize("NFD", name),
    lambda name: unicodedata.normalize("NFKC", name),
    lambda name: name.replace("a", "\u0430").replace("e", "\u0435"),
    lambda name: "".join(chr(ord(letter) + 0xFEE0) if "!" <= letter <= "~" else letter for letter in name),
    lambda name: name.replace("#", "%23"),
    lambda name: name * 300,
    lambda name: f"USER#{name}",
]


@pytest.mark.parametrize("system", OWNED)
def test_every_look_alike_sees_its_own_only(engine: Engine, system: str, guarantee: Any) -> None:
    name = "aB1#\u00e9"
    for number, like in enumerate(LOOKALIKES):
        if engine.url is not None and number % 9:
            continue
        pairs = [(Person("t", name), Person("t", like(name))), (Person(name, "u"), Person(like(name), "u"))]
        for one, two in pairs if system == "agent_sessions" else pairs[:1]:
            for me, other in ((one, two), (two, one)):
                if _are_two(system, me, other):
                    with probing(engine, system, me, other) as play:
                        for operation in _last_removing(system):
                            play.ask(operation, {})
                        play.end(guarantee)


@st.composite
def people(draw: st.DrawFn, system: str) -> tuple[Person, Person]:
    """Two that are easily taken for one another."""
    trusted = system == "agent_sessions" and draw(st.booleans())
    tenant, user = draw(NAMES), draw(NAMES)
    like = draw(st.sampled_from(LOOKALIKES))
    pairs = [(like(tenant), user), (tenant, like(user)), (like(tenant), like(user)), (user, tenant),
             (f"{tenant}#{user}", user), (tenant + user[:1], user[1:]), (tenant[:-1], tenant[-1:] + user)]  # fmt: skip
    me, other = Person(*draw(st.sampled_from(pairs)), trusted), Person(tenant, user, trusted)
    if draw(st.booleans()):
        me, other = other, me
    return me, other


def _are_two(system: str, me: Person, other: Person) -> bool:
    """Blanks at a header's ends are none; of chat sessions, and where nothing has an owner, only the user counts."""
    if me.trusted:
        return [one.strip() for one in me[:2]] != [one.strip() for one in other[:2]]
    if system == "agent_sessions":
        return me[:2] != other[:2]
    # without a subject nobody has keys to be found out
    return me.user != other.user and (system in OWNED or bool(other.user.strip()))


def _play(engine: Engine, system: str, data: st.DataObject, guarantee: Any) -> None:
    me, other = data.draw(people(system).filter(lambda two: _are_two(system, *two)))
    with probing(engine, system, me, other) as play:
        values = list(play.known)
        for _ in range(data.draw(st.integers(1, 6))):
            operation = data.draw(st.sampled_from(play.me.operations))
            put = st.sampled_from([place for place in places(operation) if play.may_be_put(place)])
            chosen = data.draw(st.lists(put, min_size=1, max_size=3, unique=True))
            tokens = list(play.forged(operation)) if ("query", "next_token") in chosen else []
            replaced = {
                place: data.draw(st.sampled_from(tokens or values if place[1] == "next_token" else values))
                for place in chosen
            }
            play.ask(operation, replaced, data.draw(st.sampled_from(KINDS)))
        for operation in _last_removing(system):
            play.ask(operation, {})
        play.end(guarantee)


@pytest.mark.parametrize("system", SYSTEMS)
def test_whoever_is_easily_taken_for_another(engine: Engine, system: str, guarantee: Any) -> None:
    @budget(EXAMPLES[engine.url is None][system in OWNED])
    @given(st.data())
    def play(data: st.DataObject) -> None:
        _play(engine, system, data, guarantee)

    play()
