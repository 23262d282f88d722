"""Values held to their template, and written for the target."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import SecretStr

from reconciler.adapters.env.values import load_values, quote, render_env
from reconciler.adapters.env.written import MAX_BYTES
from reconciler.model.env import EnvEntry, EnvValues
from reconciler.model.errors import EnvError

TEMPLATE = '# the contract\nHOST=\nPORT=8080\nTOKEN=changeme # required\nURL=http://${HOST}:${PORT}/\nNOTE=""\n'


def values_file(tmp_path: Path, content: str | bytes, mode: int = 0o600) -> Path:
    path = tmp_path / ".env.server"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(mode)
    return path


def plain(values: EnvValues) -> dict[str, str]:
    return {key: secret.get_secret_value() for key, secret in values.secrets().items()}


def test_complete_in_the_templates_order_with_its_defaults(tmp_path: Path) -> None:
    """Defaults fill in, may refer to values, and are delivered."""
    values = load_values(values_file(tmp_path, "TOKEN=hunter2\nHOST=db\n"), TEMPLATE)
    assert list(plain(values).items()) == [
        ("HOST", "db"),
        ("PORT", "8080"),
        ("TOKEN", "hunter2"),
        ("URL", "http://db:8080/"),
        ("NOTE", ""),
    ]
    assert values.raw.get_secret_value() == b"HOST=db\nPORT=8080\nTOKEN=hunter2\nURL=http://db:8080/\nNOTE=''\n"
    assert values.warnings == ()
    assert values.get("MISSING") is None
    assert "hunter2" not in repr(values)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("PORT=1\n", "{file}: missing HOST, TOKEN (env.template:2); add a line KEY=value for each"),
        ("HOST=a\nTOKEN=b\nHSOT=c\nX=d\n", "{file}:3: not in env.template: HSOT, X; correct the spelling or add it"),
        ("HOST=\nTOKEN=b\n", "{file}:1: empty, and env.template requires a value: HOST; fill it in"),
        ("HOST=a\nTOKEN=''\n", "{file}:2: empty, and env.template requires a value: TOKEN; fill it in"),
        ("HOST=a\nTOKEN=changeme\n", "{file}:2: still a placeholder: TOKEN; fill in"),
        ("HOST='<your host>'\nTOKEN=CHANGE_ME\n", "{file}:1: still a placeholder: HOST, TOKEN; fill in"),
        ("HOST=a\nTOKEN=b\nHOST=c\n", "{file}:3: HOST stands twice (first on line 1); keep one"),
        ("HOST=a\nTAG=hunter2\n", "{file}:2: TAG comes from deploy.yaml's `tag:`; remove the line"),
        (b"HOST=a\nTOKEN=\xff\n", "{file}:2: not UTF-8"),
        (b"HOST=a\nTOKEN=\0\n", "{file}:2: holds a NUL"),
        (b"#" * (MAX_BYTES + 1), "{file}: larger than 1 MiB"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path: Path, content: str | bytes, message: str) -> None:
    """Each mistake names the file, the line and every key concerned, never a value."""
    path = values_file(tmp_path, content)
    with pytest.raises(EnvError) as caught:
        load_values(path, TEMPLATE)
    assert str(caught.value).startswith(message.format(file=path))
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_file_says_what_to_do(tmp_path: Path) -> None:
    """The commonest first mistake."""
    path = tmp_path / ".env.server"
    with pytest.raises(EnvError, match=r"no such file; copy deploy/env\.template to .*\.env\.server and fill it in"):
        load_values(path, TEMPLATE, template_file="deploy/env.template")


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """A directory, and a FIFO, which would otherwise wait for ever."""
    with pytest.raises(EnvError, match="is a directory"):
        load_values(tmp_path, None)
    with pytest.raises(EnvError, match="not a file name"):
        load_values(Path("a\0b"), None)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "fifo")
        with pytest.raises(EnvError, match="not a regular file"):
            load_values(tmp_path / "fifo", None)


def test_an_unreadable_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root reads everything, so the refusal is the system's in name only."""
    path = values_file(tmp_path, "A=1\n")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(EnvError, match="can't be read: Permission denied"):
        load_values(path, None)


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o400, False), (0o640, True), (0o604, True)])
def test_a_readable_values_file_is_warned_about(tmp_path: Path, mode: int, warned: bool) -> None:
    """Others on the controller's machine could read it: no error, but said."""
    warnings = load_values(values_file(tmp_path, "A=1\n", mode), None).warnings
    assert any("others on this machine can read it" in warning for warning in warnings) is warned


def test_keys_that_steer_compose_are_warned_about(tmp_path: Path) -> None:
    """The shell's PATH wins over the file's in `${PATH}`, and Compose reads COMPOSE_* for itself."""
    warnings = load_values(values_file(tmp_path, "PATH=x\nCOMPOSE_PROFILES=y\nPATHS=z\n"), None).warnings
    assert len(warnings) == 1
    assert "PATH, COMPOSE_PROFILES:" in warnings[0]


def test_without_values_the_defaults_must_do() -> None:
    """No env at all is fine, and so is a template of defaults alone."""
    assert load_values(None, None) == EnvValues()
    assert plain(load_values(None, "A=1\n")) == {"A": "1"}
    with pytest.raises(EnvError, match=r"missing B \(env\.template:2\)"):
        load_values(None, "A=1\nB\n")


@pytest.mark.parametrize("template", ["A=1\nA=2\n", "TAG=\n", "A=$B\n", "A='\n"])
def test_a_wrong_template_is_named(template: str) -> None:
    """The mistake is the template's, so its name and line are shown."""
    with pytest.raises(EnvError, match=r"^env\.template:\d: "):
        load_values(None, template)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("plain-1.2:3/x@y", "plain-1.2:3/x@y"),
        ("", "''"),
        ("a b", "'a b'"),
        ("$x #y", "'$x #y'"),
        ("two\nlines", "'two\nlines'"),
        ("it's", '"it\'s"'),
        ("a\\", '"a\\\\"'),
        ('it\'s "$x" \\$', '"it\'s \\"\\$x\\" \\\\\\$"'),
    ],
)
def test_quoting(value: str, written: str) -> None:
    """Bare where nothing can misread it, single quotes where possible, else double quotes with escapes."""
    assert quote(value) == written


def test_render_adds_and_refuses() -> None:
    """What deploy.yaml sets comes last and may not be set twice; what no file can hold is refused by its key."""
    values = EnvValues(entries=(EnvEntry("A", SecretStr("hunter2"), 1),))
    assert render_env(values, {"TAG": "20260122_101500"}) == b"A=hunter2\nTAG=20260122_101500\n"
    with pytest.raises(EnvError, match=r"A: set by deploy.yaml"):
        render_env(values, {"A": "x"})
    with pytest.raises(EnvError, match="B: a value can't hold a NUL"):
        render_env(values, {"B": "x\0"})
    with pytest.raises(EnvError, match="no UTF-8 form"):
        render_env(values, {"B": "\ud800"})
