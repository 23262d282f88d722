"""Where env.values points: a plain file, one that age encrypted, or a program."""

from __future__ import annotations

from pathlib import Path

from reconciler.adapters.env.written import Written, read_plain
from reconciler.model.env_files import EnvFiles


def written_values(spec: EnvFiles, *, file: Path | None, identity: Path | None, directory: Path) -> Written:
    """The values as written. `file` and `identity` are where the two files are, None for none of that kind.

    A program runs in `directory`, deploy.yaml's. Raises EnvError.
    """
    if spec.values is not None and spec.values.command:
        from reconciler.adapters.env.command import values_printed_by

        return values_printed_by(spec.values.command, directory)
    if file is None:
        return Written("env.values", "")
    if spec.values is not None and spec.values.is_encrypted and spec.identity is not None:
        from reconciler.adapters.env.age import read_encrypted, read_keys

        return read_encrypted(file, read_keys(spec.identity, identity))
    return read_plain(file, hint=f"copy {spec.template or 'env.template'} to {file} and fill it in")
