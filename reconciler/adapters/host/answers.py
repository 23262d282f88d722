"""The answers of the scripts in `reconciler.remote`: named sections with their length in bytes."""

from __future__ import annotations

import posixpath
import re
from dataclasses import replace

from pydantic import ValidationError

from reconciler.adapters.host import guard
from reconciler.adapters.host.audited import audit, env_files
from reconciler.adapters.host.state_file import Chosen, choose
from reconciler.model.errors import TargetUnfit
from reconciler.model.observed import HostView
from reconciler.model.stored import FORMAT, Manifest, TargetState

_KEY = re.compile(r"(?:[0-9a-f]{2}){32}")


def sections(answer: bytes) -> dict[str, bytes]:
    """`name length\\nbytes\\n`, repeated. Raises TargetUnfit where the answer is cut or garbled."""
    found: dict[str, bytes] = {}
    rest = answer
    while rest:
        head, _, rest = rest.partition(b"\n")
        name, _, length = head.partition(b" ")
        if not length.isdigit() or len(rest) < int(length) + 1:
            raise TargetUnfit(f"the target's answer can't be read at {head[:60]!r}; does its shell print a banner?")
        found[name.decode("ascii", "replace")], rest = rest[: int(length)], rest[int(length) + 1 :]
    return found


def without_directory(said: str, private: str, here: str) -> str:
    """What Compose said of files in the `private` directory of a rendering, with their paths as seen from `here`.

    For one that leads out of the sources it says what that comes to.
    """
    if not private:
        return said
    inside = re.compile(re.escape(private) + r"(/[^\s:;,\"'`\\]*)?")
    shown = inside.sub(lambda path: posixpath.relpath(path[0], here), said)
    led_out = any(posixpath.relpath(path[0], here).startswith("..") for path in inside.finditer(said))
    return f"{shown} (only the directory of the Compose files is sent)" if led_out else shown


def view(
    found: dict[str, bytes], chosen: Chosen, *, app: str, project: str, deploy_dir: str, writable: tuple[str, ...]
) -> HostView:
    """What the files of a target say. Raises TargetUnfit for a state that this version can't read."""
    names = _lines(found.get("entries", b""))
    # Before its first switch a pass makes these; anything else in a directory without a state is somebody's.
    made = {".reconciler", "releases"} if chosen.key else set()
    known = made | {area.split("/", maxsplit=1)[0] for area in writable}
    foreign = tuple(name for name in names if chosen.data is None and name not in known)
    state = _state(chosen.data) if chosen.data is not None else None
    if state is not None and (state.app, state.project) != (app, project):
        foreign = (f"the app {state.app} (project {state.project})",)
    size, free = _disk(found.get("disk", b""))
    return HostView(
        ours=chosen.data is not None,
        key=chosen.key,
        current=_text(found, "current"),
        last_good=_text(found, "last_good"),
        releases=_lines(found.get("releases", b"")),
        state=state,
        manifest=manifest(found["manifest"]) if "manifest" in found else None,
        foreign=foreign,
        env=found.get("env", b""),
        disk_free=free,
        disk_size=size,
        holder=_text(found, "holder"),
        copies=chosen.copies,
        sealed=_lines(found.get("sealed", b"")),
        audit=audit(found, directory=deploy_dir, writable=writable),
        env_files=env_files(found),
        journal=_lines(found.get("journal", b"")),
        lease=guard.armed(found),
        alone=guard.alone(found),
    )


def chosen_state(found: dict[str, bytes]) -> Chosen:
    """The state among the sections of a target, and the key that it is signed with. Raises TargetUnfit."""
    texts = [found[name].decode("ascii", "replace") for name in ("key", "key_copy") if name in found]
    keys = [bytes.fromhex(text) for text in texts if _KEY.fullmatch(text)]
    chosen = choose(found.get("state"), found.get("state_backup"), keys)
    if not texts:
        return chosen
    if not keys:
        raise TargetUnfit(".reconciler/key on the target is no key any more: put it back from a backup of the host")
    key = chosen.key or keys[0]
    return replace(chosen, key=key, copies=replace(chosen.copies, key_lost=key.hex() != texts[0] or "key" not in found))


def manifest(data: bytes) -> Manifest:
    """A release's manifest. Raises TargetUnfit where it can't be read."""
    try:
        value = Manifest.model_validate_json(data)
    except ValidationError as error:
        raise TargetUnfit(f"a release's manifest on the target can't be read: {error.errors()[0]['msg']}") from error
    _refuse_newer("manifest.json", value.version)
    return value


def _state(data: bytes) -> TargetState:
    try:
        value = TargetState.model_validate_json(data)
    except ValidationError as error:
        raise TargetUnfit(
            f".reconciler/state.json on the target can't be read ({error.errors()[0]['msg']}): somebody edited it;"
            " put it back, or move it aside and run `reconcile adopt`"
        ) from error
    _refuse_newer("state.json", value.version)
    return value


def _refuse_newer(name: str, version: int) -> None:
    if version > FORMAT:
        raise TargetUnfit(
            f"{name} on the target has format {version}, and this version knows {FORMAT}: upgrade it here"
        )


def _lines(data: bytes) -> tuple[str, ...]:
    return tuple(line for line in data.decode("utf-8", "replace").splitlines() if line)


def _text(found: dict[str, bytes], name: str) -> str | None:
    return found.get(name, b"").decode("utf-8", "replace").strip() or None


def _disk(data: bytes) -> tuple[int | None, int | None]:
    """Size and free bytes from the last line of `df -Pk`."""
    fields = data.split()
    if len(fields) < 6 or not (fields[1].isdigit() and fields[3].isdigit()):
        return None, None
    return int(fields[1]) * 1024, int(fields[3]) * 1024
