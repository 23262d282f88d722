"""`notify` in deploy.yaml, and the secrets that it names."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.adapters.desired.load import load_deploy
from reconciler.adapters.secret import secrets_of
from reconciler.model.deploy import Deploy
from reconciler.model.errors import DesiredStateError, EnvError
from reconciler.model.notify import Event
from reconciler.model.secret import Secret
from reconciler.telemetry.log import RedactorHolder
from reconciler.telemetry.redact import Redactor

LEAST = """\
apiVersion: reconciler/v1
app: observer
tag: "20260122_101500"
compose: compose.yaml
targets: {prod: {host: local, deploy_dir: /srv/observer}}
"""
STATUS = "commit_status: {forge: gitlab, repository: group/sub/name, token: {env: T}"


def load(directory: Path, notify: str) -> Deploy:
    file = directory / "deploy.yaml"
    file.write_text(f"{LEAST}notify: {{{notify}}}\n")
    return load_deploy(file)


def test_left_out_nobody_is_told(tmp_path: Path) -> None:
    spec = load(tmp_path, "").notify

    assert not spec.is_wanted
    assert (spec.events, spec.grace) == (tuple(Event), 120.0)


def test_what_it_may_say(tmp_path: Path) -> None:
    spec = load(tmp_path, f"urls: {{file: ~/x}}, events: [deployed, healed], grace: 30s, {STATUS}}}").notify

    assert spec.is_wanted
    assert (spec.events, spec.grace) == ((Event.DEPLOYED, Event.HEALED), 30.0)
    assert spec.commit_status is not None
    assert spec.commit_status.repository == "group/sub/name"


@pytest.mark.parametrize(
    ("notify", "said"),
    [
        (
            "events: [rollback]",
            'notify.events[0]: should be the name of an event, not "rollback"; there are: deployed, ',
        ),
        ('urls: "slack://a/b/c"', "notify.urls: a secret doesn't belong in deploy.yaml; name its source: "),
        ("urls: {env: A, file: b}", "notify.urls: needs exactly one of `env` and `file`"),
        (f"{STATUS.replace('gitlab', 'gitea')}}}", "notify.commit_status.api: needs the address of its API; such as "),
        (f"{STATUS.replace('group/sub/name', 'name')}}}", "notify.commit_status.repository: should be a repository"),
        (f"{STATUS.replace('group/sub', '..')}}}", "notify.commit_status.repository: should be a repository"),
        (f"{STATUS}, api: 'https://u:p@x/'}}", "notify.commit_status.api: holds a user name or a password; "),
        (
            f"{STATUS.replace('{env: T}', 'tok')}}}",
            "notify.commit_status.token: a secret doesn't belong in deploy.yaml",
        ),
    ],
)
def test_what_it_may_not_say(tmp_path: Path, notify: str, said: str) -> None:
    with pytest.raises(DesiredStateError) as caught:
        load(tmp_path, notify)

    assert f"deploy.yaml:6: {said}" in str(caught.value)


def test_a_file_may_hold_several_and_each_is_masked(tmp_path: Path) -> None:
    (tmp_path / "urls").write_text("# people\n\n  slack://aaaa/bbbb  \njson://user:pass@host\n slack://aaaa/bbbb\n")
    holder = RedactorHolder()

    found = secrets_of(
        Secret(file="urls"), "notify.urls", tmp_path, lambda each: holder.set_redactor(Redactor(others=[each]))
    )

    assert found == ("slack://aaaa/bbbb", "json://user:pass@host")
    assert holder.current.text(f"to {found[0]} and {found[1]}") == "to *** and ***"


def test_so_may_a_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TELL", "slack://aaaa/bbbb\njson://host\n")

    assert len(secrets_of(Secret(env="TELL"), "notify.urls", tmp_path, lambda _: None)) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [(None, "notify.urls.file: "), ("# nobody\n", "notify.urls names none, "), ("\xff", "notify.urls")],
)
def test_what_is_missing_is_named(tmp_path: Path, text: str | None, said: str) -> None:
    if text is not None:
        (tmp_path / "urls").write_bytes(text.encode("latin-1"))

    with pytest.raises(EnvError, match=said):
        secrets_of(Secret(file="urls"), "notify.urls", tmp_path, lambda _: None)
