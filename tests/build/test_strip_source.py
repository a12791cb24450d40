"""What is deployed runs like the source, line for line, without what only readers need."""

import ast

import pytest

from scripts import paths, strip_source

SOURCE = '''"""Module docstring
over two lines."""

from __future__ import annotations

from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

LIMIT: int = 3  # a comment with "quotes"
TEXT = "# no comment"
NAME = "ä"; OTHER: str = f"{NAME}#{LIMIT}"  # after two bytes of UTF-8


class Pair(NamedTuple):
    """Its annotations mean something."""

    left: int
    right: int = 2


class Empty(Exception):
    """Nothing but words."""


def add(
    first: int,
    /,
    *others: int,
    third: int = 0,
    **named: Mapping[str, int],
) -> int:
    """Adds."""
    total: int = first + sum(others)
    unset: int
    return total + third  # done


def fails() -> None:
    raise Empty("line 40")
'''


def run(source: str) -> dict[str, object]:
    names: dict[str, object] = {}
    exec(compile(source, "sample.py", "exec"), names)  # noqa: S102
    return names


def test_it_runs_the_same() -> None:
    stripped = run(strip_source.strip(SOURCE))
    assert stripped["add"](1, 2, 3, third=4, more=5) == 10  # type: ignore[operator]
    assert stripped["Pair"](1) == (1, 2)  # type: ignore[operator]
    assert (stripped["TEXT"], stripped["OTHER"]) == ("# no comment", "ä#3")


def test_stack_traces_name_the_same_lines() -> None:
    for source in (SOURCE, strip_source.strip(SOURCE)):
        with pytest.raises(Exception, match="line 40") as caught:
            run(source)["fails"]()  # type: ignore[operator]
        assert caught.traceback[-1].lineno + 1 == SOURCE.splitlines().index('    raise Empty("line 40")') + 1


def test_what_only_readers_need_is_gone() -> None:
    text = strip_source.strip(SOURCE)
    for word in (
        "docstring",
        "over two lines",
        "comment with",
        "Adds.",
        "Mapping",
        "__future__",
        "-> ",
        "TYPE_CHECKING",
        "done",
    ):
        assert word not in text
    assert "left:int" in text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a = b + -1 if a == b else [c, *d, -1]", "a=b+-1 if a==b else [c,*d,-1]"),
        ("x: int = {'a': 1, **b}", "x:int={'a':1,**b}"),
        ("f(a = 'b = c, d', b=f\"{c = } , {d}\") # e", "f(a='b = c, d',b=f\"{c = } , {d}\")"),
        ("a **= b // 2 ** -c", "a**=b//2**-c"),
        ("if (a := b) is not c and not -d : e", "if (a:=b) is not c and not -d :e"),
    ],
)
def test_blanks_that_mean_nothing_are_gone(before: str, after: str) -> None:
    assert strip_source._without_blanks(before.partition(" # ")[0]) == after
    assert ast.dump(ast.parse(after)) == ast.dump(ast.parse(before))


def test_levels_are_one_column_and_texts_keep_theirs() -> None:
    text = '''"""first
        \\"second\\"
    third"""'''
    source = f"def f(a):\n    if a:\n        return [\n            {text},\n            a,\n        ]\n    return 1\n"
    stripped = strip_source.strip(source)
    assert run(stripped)["f"](2) == run(source)["f"](2)  # type: ignore[operator]
    assert stripped == f"def f(a):\n if a:\n  return [\n   {text},\n   a,\n  ]\n return 1\n"


def test_other_levels_stay() -> None:
    source = "if 1:\n  if 2:\n    a=3\n"
    assert strip_source.strip(source) == source


@pytest.mark.parametrize(
    "file", sorted(paths.LAMBDA_SOURCE.rglob("*.py")), ids=lambda file: file.relative_to(paths.LAMBDA_SOURCE).as_posix()
)
def test_every_function_source_keeps_its_statements_and_lines(file: object) -> None:
    source = file.read_text()  # type: ignore[attr-defined]
    stripped = strip_source.strip(source)
    kept = [
        (type(n), n.lineno) for n in ast.walk(ast.parse(stripped)) if isinstance(n, ast.Call | ast.Return | ast.Raise)
    ]
    before = [
        (type(n), n.lineno) for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Call | ast.Return | ast.Raise)
    ]
    assert sorted(kept, key=str) == sorted(before, key=str)
    assert ast.dump(ast.parse(strip_source._narrowed(strip_source._without_blanks(source)))) == ast.dump(
        ast.parse(source)
    )
