"""Field-level differences between two releases, for people. Env values and file contents are never among them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from deepdiff import DeepDiff

from reconciler.model.observed import LABEL_APP, LABEL_DIGEST

_SECRET_SECTIONS = ("environment", "content")


def field_changes(
    before: Mapping[str, Any] | None, after: Mapping[str, Any], mask: Callable[[str], str]
) -> tuple[str, ...]:
    """One line for each field that differs between two self-contained models, sorted.

    `services.web.mem_limit: 64m → 32m`; for env values only that they differ. A command line can hold a value, too:
    everything goes through `mask`, and whole, before it is cut to what a person reads.
    """
    if before is None:
        return tuple(f"services.{name}: new" for name in sorted(after.get("services", {})))
    changes = DeepDiff(dict(before), dict(after), ignore_order=False, verbose_level=2, view="tree")
    lines = set()
    for kind, items in changes.items():
        for item in items:
            path = [str(part) for part in item.path(output_format="list")]
            if LABEL_DIGEST in path or LABEL_APP in path:
                continue
            lines.add(f"{mask('.'.join(path))}: {_shown(kind, path, item.t1, item.t2, mask)}")
    return tuple(sorted(lines))


def _shown(kind: str, path: list[str], before: Any, after: Any, mask: Callable[[str], str]) -> str:
    if "added" in kind:
        return "added"
    if "removed" in kind:
        return "removed"
    if any(section in path for section in _SECRET_SECTIONS):
        return "changed (value not shown)"
    if path[-1] == "image":
        return f"{_short(before)} → {_short(after)}"
    return f"{_brief(before, mask)} → {_brief(after, mask)}"


def _brief(value: Any, mask: Callable[[str], str]) -> str:
    text = mask(str(value).replace("$$", "$"))  # a model doubles every dollar
    return text if len(text) <= 60 else text[:59] + "…"


def _short(image_id: Any) -> str:
    return str(image_id).removeprefix("sha256:")[:12]
