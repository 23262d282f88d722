"""deploy.yaml, read and checked: a `Deploy`, or every reason why not with its line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from reconciler.adapters.desired.wording import clip, closest, reword, show_path
from reconciler.adapters.desired.yaml_loader import Document, read_yaml
from reconciler.model.base import Location
from reconciler.model.deploy import Deploy
from reconciler.model.errors import DesiredStateError
from reconciler.model.notyet import not_yet

MOST_SHOWN = 10


class DesiredStateErrors(DesiredStateError):
    """Several errors of one file; its text has a line for each, up to ten. `errors` has all of them."""

    def __init__(self, errors: tuple[DesiredStateError, ...]) -> None:
        self.errors = errors
        first = errors[0]
        super().__init__(first.what, file=first.file, line=first.line, path=first.path, hint=first.hint)
        lines = [str(error) for error in errors[:MOST_SHOWN]]
        if len(errors) > MOST_SHOWN:
            lines.append(f"(and {len(errors) - MOST_SHOWN} more)")
        self.args = ("\n".join(lines),)


def load_deploy(path: Path) -> Deploy:
    """The desired state that the file `path` declares. The files that it refers to aren't looked at.

    Raises DesiredStateError for one mistake, its subclass DesiredStateErrors for several.
    """
    document = read_yaml(path)
    refusals = not_yet(document.data)
    errors = [
        DesiredStateError(refusal.what, **_where(path, document, refusal.location), hint=refusal.hint)
        for refusal in refusals
    ]
    explained = {refusal.location for refusal in refusals}
    try:
        deploy = Deploy.model_validate(document.data)
    except ValidationError as error:
        errors += _reworded(error, path, document, explained)
    if not errors:
        return deploy
    errors.sort(key=lambda each: each.line or 0)
    raise errors[0] if len(errors) == 1 else DesiredStateErrors(tuple(errors))


def line_in(path: Path, location: Location) -> int | None:
    """The line of `location` in the file `path`, for errors found after it was loaded; None where it can't be read."""
    try:
        return read_yaml(path).line_of(location)
    except DesiredStateError:
        return None


def _reworded(
    error: ValidationError, path: Path, document: Document, explained: set[Location]
) -> Iterator[DesiredStateError]:
    for each in error.errors(include_url=False):
        location = each["loc"]
        if any(location[:length] in explained for length in range(len(location) + 1)):
            continue
        if each["type"] == "too_short" and each["input"]:  # its entries are all wrong, and reported themselves
            continue
        what, hint = _unknown_key(location) if each["type"] == "extra_forbidden" else reword(each)
        place = location + tuple(each.get("ctx", {}).get("at", ()))
        yield DesiredStateError(what, **_where(path, document, place), hint=hint)


def _where(path: Path, document: Document, location: Location) -> dict[str, Any]:
    """File, line and path of an error. What pydantic adds to a path (`[0]` of a single value, `[key]`) goes."""
    shown = location
    while shown and shown not in document.lines and isinstance(shown[-1], int):
        shown = shown[:-1]
    if shown and shown[-1] == "[key]":
        shown = shown[:-1]
    return {"file": clip(str(path), 4096), "line": document.line_of(location), "path": show_path(shown) or None}


def _unknown_key(location: Location) -> tuple[str, str | None]:
    known = list(_known_keys(Deploy, location[:-1]))
    meant = closest(str(location[-1]), known)
    return "isn't a known key", f"did you mean `{meant}`?" if meant else f"known here: {', '.join(known)}"


def _known_keys(model: type[BaseModel], location: Location) -> Iterator[str]:
    """The keys, as written in the file, that the section at `location` may have."""
    fields: Mapping[str, Any] = {field.alias or name: field for name, field in model.model_fields.items()}
    if not location:
        yield from fields
        return
    annotation = fields[str(location[0])].annotation
    steps = 2 if _is_collection(annotation) else 1
    for inner in _models_in(annotation):
        yield from _known_keys(inner, location[steps:])


def _is_collection(annotation: Any) -> bool:
    return get_origin(annotation) in (dict, tuple)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)
