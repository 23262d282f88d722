"""JSON Schemas of the files that people and machines exchange: `python -m reconciler.adapters.desired.schema [DIR]`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from reconciler.model.deploy import Deploy
from reconciler.model.quantities import DURATION_PATTERN, duration_text
from reconciler.model.record import RunRecord

SCHEMAS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("deploy.schema.json", Deploy),
    ("run_record.schema.json", RunRecord),
)
"""File name in `schemas/`, and the model that it describes."""


class _AsWritten(GenerateJsonSchema):
    """Gives the defaults of durations as a file would write them (`30s`), not in seconds."""

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        result = super().default_schema(schema)
        if result.get("pattern") == DURATION_PATTERN:
            result["default"] = duration_text(result["default"])
        return result


def schema_text(model: type[BaseModel]) -> str:
    """The JSON Schema of `model`, as it stands in its file."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"} | model.model_json_schema(
        schema_generator=_AsWritten
    )
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def write_schemas(directory: Path) -> None:
    """Writes every schema to `directory`."""
    for name, model in SCHEMAS:
        (directory / name).write_text(schema_text(model), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    write_schemas(Path(sys.argv[1] if len(sys.argv) > 1 else "schemas"))
