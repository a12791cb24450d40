"""Makes the reference parts of Terraform's READMEs from the code: `python -m scripts.docs [--check]`.

Between `<!-- docs:reference -->` and `<!-- docs:end -->` stand requirements, resources, inputs and outputs, between
`<!-- docs:example -->` and the same end the module's `examples/basic/main.tf`. All else is written by hand.
"""

import difflib
import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import hcl2
import typer

from scripts import paths
from scripts.console import EXIT_FAILED, CommandError, out, run, step

TERRAFORM = paths.ROOT / "terraform"
EXAMPLE = Path("examples/basic/main.tf")
_PART = re.compile(r"(<!-- docs:(reference|example) -->\n).*?(<!-- docs:end -->)", flags=re.DOTALL)


def main(
    check: Annotated[bool, typer.Option("--check", help="Change nothing; fail with the difference.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The READMEs that differed, as JSON.")] = False,
) -> None:
    """Write the generated parts of the READMEs anew."""
    with step("reading the Terraform code"):
        made = {readme: generated(readme) for readme in readmes()}
    different = {readme: text for readme, text in made.items() if text != readme.read_text()}
    names = [str(readme.relative_to(paths.ROOT)) for readme in different]
    if check and different:
        if not as_json:
            for readme, text in different.items():
                out.print("".join(_difference(readme, text)), end="", markup=False)
        else:
            print(json.dumps({"different": names}))
        raise CommandError(f"{', '.join(names)}: not what the code says.", "Run `make docs`.", EXIT_FAILED)
    for readme, text in different.items():
        readme.write_text(text)
    if as_json:
        print(json.dumps({"different": names}))
    else:
        for name in names:
            out.print(f"wrote {name}", markup=False)


def readmes() -> list[Path]:
    """Those of the roots and of the modules."""
    return [
        TERRAFORM / "README.md",
        TERRAFORM / "bootstrap" / "README.md",
        *sorted(TERRAFORM.glob("modules/*/README.md")),
    ]


def generated(readme: Path) -> str:
    """A README with its generated parts as they should be."""

    def part(found: re.Match[str]) -> str:
        body = reference(readme.parent) if found[2] == "reference" else example(readme.parent)
        return f"{found[1]}{body}{found[3]}"

    return _PART.sub(part, readme.read_text())


def example(module: Path) -> str:
    return f"```hcl\n{(module / EXAMPLE).read_text()}```\n"


def reference(module: Path) -> str:
    """Requirements, resources, inputs and outputs of a module."""
    code = [hcl2.loads(file.read_text()) for file in sorted(module.glob("*.tf"))]
    sections = [
        ("Requirements", _requirements(code)),
        ("Resources", _resources(code)),
        ("Inputs", _inputs(module, code)),
        ("Outputs", _outputs(code)),
    ]
    return "\n".join(f"## {title}\n\n{text}" for title, text in sections if text)


def _requirements(code: list[dict[str, Any]]) -> str:
    (settings,) = _blocks(code, "terraform")
    wanted: list[tuple[str, ...]] = [("Terraform", settings["required_version"])]
    for providers in settings["required_providers"]:
        wanted += [
            (_text(said["source"]), said["version"]) for name, said in providers.items() if not name.startswith("__")
        ]
    return _table(("what", "version"), [(name, f"`{_text(version)}`") for name, version in wanted])


def _resources(code: list[dict[str, Any]]) -> str:
    kinds = sorted({f"`{_text(_label(block))}`" for block in _blocks(code, "resource")})
    modules = sorted({_text(module["source"]) for _, module in _bodies(code, "module")})
    links = [f"[`{source}`]({source}/README.md)" for source in modules]
    return textwrap.fill(", ".join([*kinds, *links]) + ".", 118, break_on_hyphens=False) + "\n"


def _inputs(module: Path, code: list[dict[str, Any]]) -> str:
    rows: list[tuple[str, ...]] = []
    details = []
    for name, variable in _bodies(code, "variable"):
        type_, default = _source(module, name, "type") or "any", _source(module, name, "default")
        description, shown = _description(variable), "required" if default is None else f"`{default}`"
        if "\n" not in type_ + description:
            rows.append((f"`{name}`", f"`{type_}`", shown, description))
            continue
        outside = type_.split("({")[0]
        rows.append((f"[`{name}`](#{name})", f"`{outside}{')' * outside.count('(')}`", shown, _first(description)))
        details.append(f"### {name}\n\n{description}\n\n```hcl\n{type_}\n```\n")
    return "\n".join([_table(("name", "type", "default", "what"), rows), *details])


def _outputs(code: list[dict[str, Any]]) -> str:
    return _table(("name", "what"), [(f"`{name}`", _description(said)) for name, said in _bodies(code, "output")])


def _blocks(code: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [block for parsed in code for block in parsed.get(kind, ())]


def _label(block: dict[str, Any]) -> str:
    return next(label for label in block if not label.startswith("__"))


def _bodies(code: list[dict[str, Any]], kind: str) -> list[tuple[str, dict[str, Any]]]:
    """Blocks with one label, in the order of the code."""
    return [(_text(_label(block)), block[_label(block)]) for block in _blocks(code, kind)]


def _source(module: Path, variable: str, argument: str) -> str | None:
    """An argument of a variable as it is written, formatted by `terraform fmt`; None where it is not stated."""
    for file in sorted(module.glob("*.tf")):
        if block := re.search(rf'(?ms)^variable "{variable}" {{\n(.*?)^}}', file.read_text()):
            # More lines than one end with a closing bracket under the argument's name.
            stated = re.search(rf"(?ms)^  {argument} += ([^\n]*[\[{{(]\n.*?^  [)\]}}]+|[^\n]*)", block[1])
            return textwrap.dedent(f"  {stated[1]}").strip() if stated else None
    raise AssertionError(variable)


def _description(block: dict[str, Any]) -> str:
    text = _text(block["description"])
    if heredoc := re.fullmatch(r"<<-?(\w+)\n(.*?)\s*\1", text, flags=re.DOTALL):
        text = textwrap.dedent(heredoc[2])
    return text.strip()


def _first(description: str) -> str:
    return " ".join(description.split("\n\n")[0].split())


def _text(value: str) -> str:
    """What stands between the quotes; a `\\"` in there is a quote."""
    return value[1:-1].replace('\\"', '"') if value.startswith('"') else value


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    if not rows:
        return ""
    lines = [head, tuple("---" for _ in head), *(tuple(cell.replace("|", "\\|") for cell in row) for row in rows)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines).replace("| --- ", "|---").replace("--- |", "---|")


def _difference(readme: Path, text: str) -> Iterator[str]:
    name = str(readme.relative_to(paths.ROOT))
    there, wanted = readme.read_text().splitlines(keepends=True), text.splitlines(keepends=True)
    return difflib.unified_diff(there, wanted, name, f"{name}, as the code says")


if __name__ == "__main__":
    run(main)
