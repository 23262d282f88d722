"""What goes back to the repository: records, and deploy.yaml after an automatic revert. Durable until it is pushed."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from reconciler.adapters.desired.tag_line import tag_in, with_tag
from reconciler.adapters.records.markdown import from_markdown
from reconciler.adapters.records.queue import Queue, Waiting
from reconciler.dataclass import dataclass
from reconciler.durable import replace_file
from reconciler.model.errors import DesiredStateError, ReconcilerError
from reconciler.ports import Publisher

log = logging.getLogger("reconciler.records")

SHOWN = 20
"""Records that a commit's message names."""


@dataclass(frozen=True, slots=True)
class WriteBack:
    """deploy.yaml asks for the tag `leaving`, which breached; what runs is `back`. `record` is the record's name."""

    leaving: str
    back: str
    record: str


class PushedRecords:
    """Thread-safe as far as `Queue` is; one thread pushes. `into` and `deploy_file` are paths in the repository."""

    def __init__(
        self,
        repository: Publisher,
        queue: Queue,
        directory: Path,
        *,
        into: PurePosixPath,
        deploy_file: PurePosixPath,
        branch: str | None,
        state: Path,
    ) -> None:
        self._repository = repository
        self._queue = queue
        self._directory = directory
        self._into = into
        self._deploy_file = deploy_file
        self._branch = branch
        self._file = state / "write_back.json"

    def is_empty(self) -> bool:
        """Whether there is nothing to push. Raises OSError."""
        return not self._queue.all() and not self._file.exists()

    def pending(self) -> Mapping[str, int]:
        """How many records wait, for each target. Raises OSError."""
        found: Counter[str] = Counter()
        for _, content in self._waiting():
            try:
                found[from_markdown(content.decode("utf-8", "replace"), name="a record").target] += 1
            except ReconcilerError:
                continue  # whose it is can't be told; it is pushed as it is
        return found

    def write_back(self, wanted: WriteBack) -> None:
        """With the next push deploy.yaml asks for what runs, unless it asks for something else again by then.

        Raises OSError.
        """
        self._file.parent.mkdir(parents=True, exist_ok=True)
        told = {"leaving": wanted.leaving, "back": wanted.back, "record": wanted.record}
        replace_file(self._file, json.dumps(told).encode())

    def push(self) -> None:
        """Pushes everything that waits in one commit, on top of whatever the remote has by then.

        A record that is written again meanwhile goes on waiting. Raises GitFailed where the remote takes none, and
        OSError: then everything waits on.
        """
        found, wanted = self._waiting(), self._wanted()
        if not found and wanted is None:
            return
        records = {str(self._into / each.name): content for each, content in found}

        def changes(base: str) -> Mapping[str, bytes]:
            return {**records, **self._written_back(base, wanted)}

        self._repository.publish(self._branch, changes, _message([each.name for each, _ in found], wanted))
        for each, _ in found:
            self._queue.drop(each)
        if wanted is not None and self._wanted() == wanted:
            self._file.unlink(missing_ok=True)

    def _waiting(self) -> list[tuple[Waiting, bytes]]:
        found = []
        for each in self._queue.all():
            try:
                found.append((each, (self._directory / each.name).read_bytes()))
            except FileNotFoundError:
                continue  # it is being written
        return found

    def _wanted(self) -> WriteBack | None:
        try:
            return WriteBack(**json.loads(self._file.read_text("utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise ReconcilerError(f"{self._file} can't be read ({type(error).__name__}); remove it") from None

    def _written_back(self, base: str, wanted: WriteBack | None) -> Mapping[str, bytes]:
        if wanted is None:
            return {}
        content = self._repository.read(base, str(self._deploy_file))
        if content is None:
            return {}
        text = content.decode("utf-8", "surrogateescape")
        try:
            if tag_in(text) != wanted.leaving:
                return {}  # somebody asks for another one by now
            back = with_tag(text, wanted.back)
        except DesiredStateError as error:
            log.warning("deploy.yaml goes on asking for %s, which isn't tried again: %s", wanted.leaving, error)
            return {}
        return {str(self._deploy_file): back.encode("utf-8", "surrogateescape")}


def forget_unwritten(queue: Queue, directory: Path) -> None:
    """Drops what a process left that died before it wrote the record itself; its target has it. Raises OSError.

    Only for a process that has just begun: none of its own is being written yet.
    """
    for each in queue.all():
        if not (directory / each.name).exists():
            queue.drop(each)


def _message(files: list[str], wanted: WriteBack | None) -> str:
    names = [name.removesuffix(".md") for name in files]
    title = f"Record {names[0] if len(names) == 1 else f'{len(names)} runs'}"
    if wanted is not None:
        title = f"Go back from {wanted.leaving} to {wanted.back}: {wanted.record}"
    shown = [f"- {name}" for name in names[:SHOWN]]
    if len(names) > SHOWN:
        shown.append(f"- and {len(names) - SHOWN} more")
    return "\n".join([f"{title} [skip ci]", "", *shown, ""])
