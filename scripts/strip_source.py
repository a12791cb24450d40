"""Python source without what only readers and type checkers need, line for line: stack traces stay right.

Lambda compiles a function's source at each cold start, since no .pyc ships. Gone are comments, docstrings, annotations
of functions and variables, `TYPE_CHECKING` with its blocks, imports from `__future__`, blanks around operators, and
three of four columns of each level of indentation.
"""

import ast
import re
from collections.abc import Iterator
from functools import lru_cache

_Span = tuple[int, int, str]  # first and last character, and what stands there instead

# A comment begins where no string does; `tokenize` tells the same, ten times as slow.
_STRING_OR_COMMENT = re.compile(
    r"""\"{3}(?:\\.|[^\\])*?\"{3}|'{3}(?:\\.|[^\\])*?'{3}|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\#[^\n]*""", re.DOTALL
)
# Within a line, outside of texts; before or behind it a text may stand
_NEEDLESS_BLANKS = re.compile(
    r"(?:(?<=\S)|\A) (//=?|\*\*=?|<<|>>|[-+*/%|&^<>=!:]=|[-+*/%|&^<>=]) (?=\S|\Z)|(?<=[,:]) (?=\S|\Z)"
)


def strip(source: str) -> str:
    """The same statements on the same lines.

    Positions come from the parser and the text from the source, never from a rewritten tree, so that every version of
    Python makes the same.
    """
    made, position = [], 0
    for first, last, instead in sorted(_spans(source)):
        if first < position:
            continue  # within something that is gone already
        made.append(source[position:first] + instead + "\n" * source.count("\n", first, last))
        position = last
    made.append(source[position:])
    text = "\n".join(line.rstrip() for line in "".join(made).split("\n")).rstrip("\n") + "\n"
    return _narrowed(_without_blanks(text))


def _without_blanks(source: str) -> str:
    made, position = [], 0
    for text in _STRING_OR_COMMENT.finditer(source):
        made += [_NEEDLESS_BLANKS.sub(r"\1", source[position : text.start()]), text[0]]
        position = text.end()
    return "".join([*made, _NEEDLESS_BLANKS.sub(r"\1", source[position:])])


def _narrowed(source: str) -> str:
    """Indented by ones instead of fours; as it is where something stands in between."""
    lines = source.split("\n")
    widths = [len(line) - len(line.lstrip(" ")) for line in lines]
    for found in _STRING_OR_COMMENT.finditer(source):
        if count := found[0].count("\n"):
            # what a text begins its lines with is its own
            first = source.count("\n", 0, found.start()) + 1
            widths[first : first + count] = [0] * count
    if any(width % 4 for width in widths):
        return source
    return "\n".join(line[width - width // 4 :] for line, width in zip(lines, widths, strict=True))


# Of the file that is at hand: trees that are kept are what Python looks through for garbage, again and again.
@lru_cache(maxsize=1)
def parsed(source: str) -> ast.Module:
    return ast.parse(source)


def statements(node: ast.AST, *, at_run_time: bool = False) -> Iterator[ast.stmt]:
    """Every statement within, at any depth; `at_run_time`: but for what only type checkers look at.

    Most of a tree is expressions, in which there are none: `ast.walk` takes several times as long.
    """
    for name in ("body", "handlers", "orelse", "finalbody", "cases"):
        inner = getattr(node, name, ())
        for child in inner if isinstance(inner, list) else ():
            if at_run_time and isinstance(child, ast.If) and _is_type_checking(child.test):
                continue
            if isinstance(child, ast.stmt):
                yield child
            yield from statements(child, at_run_time=at_run_time)


def _spans(source: str) -> Iterator[_Span]:
    lines = source.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))

    def at(line: int, column: int) -> int:
        # ast counts columns in bytes of UTF-8
        return starts[line - 1] + len(lines[line - 1].encode()[:column].decode())

    def begin(node: ast.expr | ast.stmt | ast.arg) -> int:
        return at(node.lineno, node.col_offset)

    def end(node: ast.expr | ast.stmt | ast.arg) -> int:
        return at(node.end_lineno or 0, node.end_col_offset or 0)

    tree = parsed(source)
    nodes = [tree, *statements(tree)]
    in_classes = {id(statement) for node in nodes if isinstance(node, ast.ClassDef) for statement in node.body}
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            all_arguments = node.args
            for argument in (
                *all_arguments.posonlyargs,
                *all_arguments.args,
                *all_arguments.kwonlyargs,
                *filter(None, (all_arguments.vararg, all_arguments.kwarg)),
            ):
                if argument.annotation is not None:
                    yield begin(argument) + len(argument.arg), end(argument), ""
            if node.returns is not None:
                arrow = source.rindex("->", 0, begin(node.returns))
                yield len(source[:arrow].rstrip()), end(node.returns), ""
        # Those of a class may mean something at run time (NamedTuple).
        if isinstance(node, ast.AnnAssign) and id(node) not in in_classes:
            yield (end(node.target), end(node.annotation), "") if node.value else (begin(node), end(node), "pass")
        if (isinstance(node, ast.If) and _is_type_checking(node.test)) or (
            isinstance(node, ast.Assign) and _is_type_checking(node.targets[0])
        ):
            yield begin(node), end(node), ""
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            yield begin(node), end(node), ""
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = node.body[0] if node.body and ast.get_docstring(node, clean=False) is not None else None
            if docstring is not None:
                only = len(node.body) == 1 and not isinstance(node, ast.Module)
                yield begin(docstring), end(docstring), "pass" if only else ""
    for found in _STRING_OR_COMMENT.finditer(source):
        if found[0].startswith("#"):
            yield found.start(), found.end(), ""


def _is_type_checking(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "TYPE_CHECKING"
