"""schemas/ holds what the models say."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from reconciler.adapters.desired.schema import SCHEMAS, schema_text

COMMITTED = Path(__file__).parents[2] / "schemas"


@pytest.mark.parametrize(("name", "model"), SCHEMAS)
def test_the_committed_schema_is_the_models(name: str, model: type[BaseModel]) -> None:
    stale = "stale: run `python -m reconciler.adapters.desired.schema`"

    assert (COMMITTED / name).read_text(encoding="utf-8") == schema_text(model), stale


def test_the_module_writes_every_schema(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "reconciler.adapters.desired.schema", str(tmp_path)], check=True)

    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(name for name, _ in SCHEMAS)
    for name, model in SCHEMAS:
        assert (tmp_path / name).read_text(encoding="utf-8") == schema_text(model)


def _properties(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, section in {"": schema, **schema["$defs"]}.items():
        for key, value in section["properties"].items():
            yield f"{name}.{key}", value


def test_every_key_is_described_and_unknown_keys_are_refused() -> None:
    schema = json.loads((COMMITTED / "deploy.schema.json").read_text(encoding="utf-8"))

    refs = {f"#/$defs/{name}": section for name, section in schema["$defs"].items()}
    described = {
        name: value if "description" in value else refs.get(value.get("$ref", ""), {})
        for name, value in _properties(schema)
    }

    assert [name for name, value in described.items() if not value.get("description")] == []
    assert all(section["additionalProperties"] is False for section in [schema, *schema["$defs"].values()])
    assert schema["required"] == ["apiVersion", "app", "tag", "compose", "targets"]


def test_defaults_are_written_as_a_file_would() -> None:
    schema = json.loads((COMMITTED / "deploy.schema.json").read_text(encoding="utf-8"))
    defaults = {name: value["default"] for name, value in _properties(schema) if "default" in value}

    assert defaults["Gates.window"] == "30s"
    assert defaults["Stabilization.period"] == "24h"
    assert defaults["Rollback.watchdog"] == "90s"
    assert defaults["HttpGate.from"] == "target"
