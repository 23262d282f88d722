"""`env edit` with real editors (scripts), real signals and a real terminal: the plaintext is private, and goes."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyrage
import pytest

from reconciler.adapters.env.age import encrypt
from tests.world.world import CHECKOUT, Completed

CANARY = "kanarie-7c1e9a"
PLAIN = f"# the token\nTOKEN={CANARY}\nPORT=8080\n"
DEPLOY = """\
apiVersion: reconciler/v1
app: shop
tag: "20260122_101500"
compose: compose.yaml
env: {template: env.template, values: .env.server.age, identity: {env: SHOP_IDENTITY}, recipients: [RECIPIENT]}
targets: {prod: {host: local, deploy_dir: /srv/nowhere}}
"""
TEMPLATE = "# @secret\nTOKEN=\n# @type int\nPORT=\n"
COMPOSE = "services: {web: {image: 'shop:${TAG}', environment: [TOKEN, PORT]}}\n"


@dataclass
class Desk:
    """A repository with encrypted values, and who may read them."""

    path: Path
    identity: pyrage.x25519.Identity
    runtime: Path
    said: list[str] = field(default_factory=list)

    def plaintexts(self) -> list[Path]:
        """The private directories that are there now."""
        return list(self.runtime.iterdir())

    @property
    def file(self) -> Path:
        return self.path / ".env.server.age"

    def values(self) -> str:
        return bytes(pyrage.decrypt(self.file.read_bytes(), [self.identity])).decode()

    def editor(self, script: str) -> str:
        """An editor that is a shell script; `$1` is the file."""
        path = self.path.parent / "editor"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return str(path)

    def env(self, editor: str) -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONPATH": str(CHECKOUT),
            "SHOP_IDENTITY": str(self.identity),
            "EDITOR": "false",
            "VISUAL": editor,
            "HOME": str(self.path.parent),
            "XDG_RUNTIME_DIR": str(self.runtime),
            "TMPDIR": str(self.runtime),
        }

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "reconciler.cli.main", "env", *arguments, "--log-level", "debug"]

    def edit(self, script: str, *arguments: str) -> Completed:
        done = subprocess.run(
            self.command("edit", *arguments),
            cwd=self.path,
            env=self.env(self.editor(script)),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.said.append(done.stdout + done.stderr)
        return done


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Afterwards: nothing that was said has the canary, and no file is left that has it."""
    identity = pyrage.x25519.Identity.generate()
    desk = Desk(tmp_path / "shop", identity, tmp_path / "runtime")
    desk.path.mkdir()
    desk.runtime.mkdir()
    for name, text in {
        "deploy.yaml": DEPLOY.replace("RECIPIENT", str(identity.to_public())),
        "env.template": TEMPLATE,
        "compose.yaml": COMPOSE,
    }.items():
        (desk.path / name).write_text(text)
    desk.file.write_bytes(encrypt(PLAIN.encode(), [str(identity.to_public())]))
    subprocess.run(["git", "init", "-q", str(desk.path)], check=True)
    yield desk
    assert all(CANARY not in said for said in desk.said)
    assert desk.plaintexts() == []
    assert sorted(path.name for path in desk.path.iterdir() if path.is_file()) == [
        ".env.server.age",
        "compose.yaml",
        "deploy.yaml",
        "env.template",
    ]
    for path in desk.path.rglob("*"):
        assert not path.is_file() or CANARY.encode() not in path.read_bytes(), path


def test_what_is_typed_is_encrypted_anew_and_only_then(desk: Desk) -> None:
    """The editor sees a file that only its owner can read, in a directory that only its owner can enter."""
    seen = desk.path.parent / "seen"
    script = f'stat -c "%a %n" "$1" "$(dirname "$1")" >{seen}; grep -c {CANARY} "$1" >>{seen}; sed -i s/8080/9090/ "$1"'
    before = desk.file.read_bytes()
    done = desk.edit(script)
    assert (done.returncode, done.stdout) == (0, ".env.server.age: encrypted anew; commit it\n"), done.stderr
    assert desk.values() == PLAIN.replace("8080", "9090"), "comments stay"
    file, directory, found = seen.read_text().splitlines()
    assert (file.split()[0], directory.split()[0], found) == ("600", "700", "1")
    assert file.endswith("/.env.server")
    assert not Path(directory.split()[1]).exists()
    assert desk.file.read_bytes() != before


def test_the_plaintext_is_in_memory_where_the_system_has_that(desk: Desk) -> None:
    """Without a runtime directory of the person's own."""
    seen = desk.path.parent / "seen"
    environment = {**desk.env(desk.editor(f'echo "$1" >{seen}')), "XDG_RUNTIME_DIR": ""}
    subprocess.run(desk.command("edit"), cwd=desk.path, env=environment, capture_output=True, check=True)
    place = Path(seen.read_text().strip())
    assert place.parent.parent == (Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else desk.runtime)
    assert not place.parent.exists()


def test_nothing_typed_changes_nothing(desk: Desk) -> None:
    before = (desk.file.read_bytes(), desk.file.stat().st_mtime_ns)
    done = desk.edit('touch "$1"', "--output", "json")
    assert (done.returncode, '"changed": false' in done.stdout) == (0, True)
    assert (desk.file.read_bytes(), desk.file.stat().st_mtime_ns) == before


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ('sed -i s/8080/9090/ "$1"; exit 3', "ended with 3: nothing was changed"),
        ('rm "$1"', "the editor removed it: nothing was changed"),
        (f'echo "PORT=80{CANARY}" >"$1"', "nothing was changed: env.template:2: TOKEN is required"),
        ('sed -i s/8080/http/ "$1"', "nothing was changed: .env.server.age:3: PORT should be a whole number"),
        (f'printf "A=\'{CANARY}" >>"$1"', "nothing was changed: .env.server.age:4: A: the value's opening ' is never"),
        ('printf "A=\\377" >>"$1"', ":4: not UTF-8"),
        ("kill -9 $$", "ended with -9: nothing was changed"),
        ("kill -9 $PPID", ""),
    ],
)
def test_a_failing_editor_or_a_broken_file_changes_nothing(desk: Desk, script: str, why: str) -> None:
    """No terminal, nobody to ask: refused, said, removed. Even a killed process leaves nothing for longer than the
    next edit."""
    before = desk.file.read_bytes()
    done = desk.edit(script)
    assert desk.file.read_bytes() == before
    if why:
        assert done.returncode == 1
        assert why in done.stderr
        assert "Traceback" not in done.stderr
        assert desk.plaintexts() == []
    else:
        assert done.returncode == -signal.SIGKILL
        assert len(desk.plaintexts()) == 1
        assert desk.edit("true").returncode == 0


def test_without_an_editor_it_says_what_to_set(desk: Desk) -> None:
    done = subprocess.run(
        desk.command("edit"), cwd=desk.path, env=desk.env("nosuch-editor"), capture_output=True, text=True, check=False
    )
    desk.said.append(done.stderr)
    assert (done.returncode, done.stderr) == (
        1,
        "reconcile: env edit: nosuch-editor can't be run; set VISUAL or EDITOR to your editor\n",
    )


def test_what_somebody_else_changed_meanwhile_is_not_overwritten(desk: Desk) -> None:
    other = encrypt(b"TOKEN=another\nPORT=1\n", [str(desk.identity.to_public())])
    (desk.path.parent / "other").write_bytes(other)
    done = desk.edit(f'sed -i s/8080/9090/ "$1"; cp {desk.path.parent / "other"} {desk.file}')
    assert (done.returncode, "somebody else changed it meanwhile" in done.stderr) == (1, True)
    assert desk.file.read_bytes() == other


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
@pytest.mark.parametrize("whole_group", [True, False])
def test_a_signal_ends_it_without_a_trace(desk: Desk, number: signal.Signals, whole_group: bool) -> None:
    """To the process alone, and to its whole group as a terminal's Ctrl-C goes; the editor is ended, too."""
    ready, gone = desk.path.parent / "ready", desk.path.parent / "gone"
    os.mkfifo(ready)
    script = (
        f'trap "echo x >{gone}; exit 1" TERM; sed -i s/8080/9090/ "$1"; echo >{ready}; while :; do sleep 0.05; done'
    )
    before = desk.file.read_bytes()
    process = subprocess.Popen(
        desk.command("edit"),
        cwd=desk.path,
        env=desk.env(desk.editor(script)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    ready.read_text()
    assert len(desk.plaintexts()) == 1
    (os.killpg if whole_group else os.kill)(process.pid, number)
    out, err = process.communicate(timeout=20)
    desk.said.append(out + err)
    assert process.returncode == 1, err
    assert "nothing was changed" in err
    assert "Traceback" not in err
    assert desk.file.read_bytes() == before
    assert desk.plaintexts() == []
    if not whole_group:
        assert gone.exists(), "the editor was asked to end"


def test_at_a_terminal_it_offers_to_edit_again_and_keeps_what_was_typed(desk: Desk) -> None:
    """The first time the person breaks it, the second time they repair what they find there."""
    script = 'grep -q http "$1" && sed -i s/http/9090/ "$1" || sed -i s/8080/http/ "$1"'
    said, status = at_terminal(desk, script, answers={"edit again? [Y/n] ": "\n"})
    assert status == 0, said
    assert "PORT should be a whole number" in said
    assert desk.values() == PLAIN.replace("8080", "9090")


@pytest.mark.parametrize("answer", ["n\n", "\x04", "\x03"])
def test_at_a_terminal_no_is_no(desk: Desk, answer: str) -> None:
    """`n`, the end of input, Ctrl-C at the question."""
    before = desk.file.read_bytes()
    said, status = at_terminal(desk, 'sed -i s/8080/http/ "$1"', answers={"edit again? [Y/n] ": answer})
    assert status == 1, said
    assert "nothing was changed" in said
    assert "Traceback" not in said
    assert desk.file.read_bytes() == before


def test_ctrl_c_in_an_editor_that_takes_it_is_the_editors_own(desk: Desk) -> None:
    """As in vi: the key is a command there, and what is typed afterwards is kept."""
    script = 'trap "taken=1" INT; echo ready; while [ -z "$taken" ]; do sleep 0.05; done; sed -i s/8080/9090/ "$1"'
    said, status = at_terminal(desk, script, answers={"ready": "\x03"})
    assert status == 0, said
    assert desk.values() == PLAIN.replace("8080", "9090")


def at_terminal(desk: Desk, script: str, answers: dict[str, str]) -> tuple[str, int]:
    """`env edit` on a terminal of its own; each answer is typed once, when its question is there."""
    environment, command = desk.env(desk.editor(script)), desk.command("edit")
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(desk.path)
        os.execvpe(command[0], command, environment)  # noqa: S606 - a shell is what it is not to be
    said, deadline = "", time.monotonic() + 30
    while time.monotonic() < deadline and select.select([terminal], [], [], 30)[0]:
        try:
            data = os.read(terminal, 4096)
        except OSError:
            break  # the other end is closed
        said += data.decode()
        for question in [each for each in answers if each in said]:
            os.write(terminal, answers.pop(question).encode())
    _, status = os.waitpid(child, 0)
    os.close(terminal)
    desk.said.append(said)
    return said, os.waitstatus_to_exitcode(status)
