"""From view models to HTML: the owner of Jinja2. Every value is escaped; a name that a template misspells raises."""

from __future__ import annotations

import hashlib
from pathlib import Path

STYLE, ICON = "style.css", "icon.svg"
_HERE = Path(__file__).parent


class Renderer:
    """Thread-safe. Templates are compiled at their first use."""

    def __init__(self) -> None:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined  # a pass of a person makes no page

        self._templates = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.static = {name: (_HERE / "static" / name).read_bytes() for name in (STYLE, ICON)}
        versions = {name: hashlib.sha256(data).hexdigest()[:8] for name, data in self.static.items()}
        self._templates.globals["asset"] = lambda name: f"/{name}?{versions[name]}"

    def html(self, template: str, **given: object) -> bytes:
        """The page that `template` makes of what is given."""
        return self._templates.get_template(f"{template}.html").render(**given).encode()
