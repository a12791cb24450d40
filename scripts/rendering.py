"""Fills the templates of `scripts/templates`: for Terraform (`hcl`), environment files (`env`), Markdown (`code`),
HTML.

In HTML every value is text: markup in it is shown, never followed. The other formats have filters that escape what
their readers would interpret.
"""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import jinja2

from scripts import paths
from scripts.console import CommandError, one_line


def render(template: str, **values: Any) -> str:
    engine = jinja2.Environment(
        loader=jinja2.FileSystemLoader(paths.TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=jinja2.select_autoescape(enabled_extensions=("html.j2",), default=False),
    )
    engine.filters |= {"hcl": _hcl, "env": _env, "one_line": one_line, "code": _code}
    return engine.get_template(template).render(values)


def write(target: Path, text: str) -> Path:
    """Whole or not at all."""
    unfinished = target.with_name(target.name + ".new")
    # A file name need be no text: its odd bytes are escaped, in JSON as JSON does it.
    unfinished.write_text(text, encoding="utf-8", errors="backslashreplace")
    unfinished.replace(target)
    return target


def json_text(value: Any) -> str:
    """JSON as a person reads it; the same for the same value."""
    return json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def _hcl(value: Any) -> str:
    """A TOML value as an HCL expression. JSON is HCL but for the templates that `${` and `%{` would start."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    return text.replace("${", "$${").replace("%{", "%%{")


def _code(text: str) -> str:
    """Text as it stands, within a line of Markdown."""
    ticks = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{ticks}{one_line(text)}{ticks}"


def _env(value: str) -> str:
    """A value that a shell and dotenv parsers read alike: bare where that is safe, else in single quotes.

    What even there means different things to different readers is refused.
    """
    if any(odd in value for odd in ("'", "\\", "${")) or not value.isprintable():
        raise CommandError(
            f"{value!r} can't stand in an environment file: shells and dotenv parsers read it differently.",
            "Do without quotes, backslashes, ${ and control characters; in a URL, percent-encode them.",
        )
    return shlex.quote(value)
