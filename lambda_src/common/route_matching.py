"""What few requests need: a route found by its path, where API Gateway names none, and a refused method's answer."""

from __future__ import annotations

from common.errors import Problem
from common.events import Answer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from common.events import Request


def template_of(templates: Mapping[str, list[str]], routes: Collection[str], request: Request, method: str) -> str:
    """The template that fits the path best, whose parameters are set; 404 if there is none."""
    fitting = [template for template, parts in templates.items() if _fits(parts, request.segments)]
    if not fitting:
        raise Problem(404, "there is nothing at this path")
    # literal before parameter, as in API Gateway, among those that know the method
    template = min(fitting, key=lambda one: (f"{method} {one}" not in routes, one.count("{"), one))
    request.parameters = {
        part[1:-1]: value
        for part, value in zip(templates[template], request.segments, strict=True)
        if part.startswith("{")
    }
    return template


def refused(routes: Collection[str], template: str, method: str) -> Answer:
    """204 to OPTIONS; 405 for any other method that the template has no route for."""
    allowed = {key.partition(" ")[0] for key in routes if key.partition(" ")[2] == template}
    if "GET" in allowed:
        allowed.add("HEAD")
    headers = {"allow": ", ".join(sorted(allowed | {"OPTIONS"}))}
    if method == "OPTIONS":
        return Answer(204, headers=headers)
    raise Problem(405, f"{method} is not possible here; see the allow header", headers=headers)


def _fits(parts: list[str], segments: list[str]) -> bool:
    return len(parts) == len(segments) and all(
        bool(segment) if part.startswith("{") else part == segment
        for part, segment in zip(parts, segments, strict=True)
    )
