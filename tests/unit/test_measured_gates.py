"""What deploy.yaml may say of gates that ask a measuring system, and what each mistake gets for an answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.adapters.desired.load import load_deploy
from reconciler.model.deploy import Deploy
from reconciler.model.errors import DesiredStateError

HEAD = """\
apiVersion: reconciler/v1
app: observer
tag: "20260122_101500"
compose: compose.yaml
targets: {prod: {host: local, deploy_dir: /srv/observer}}
"""
METRIC = {"name": "m", "prometheus": "http://127.0.0.1:9090", "query": "up"}
JSON = {"name": "j", "url": "http://127.0.0.1/x", "field": "a.b"}
COMMAND = {"name": "c", "run": "[check]"}
SOURCE = "{env: TOKEN}"


def load(tmp_path: Path, section: str, **keys: str) -> Deploy:
    """deploy.yaml with one gate in `section`, a key a line from line 8 on; the values are YAML."""
    path = tmp_path / "deploy.yaml"
    lines = "".join(f"      {key.rstrip('_')}: {value}\n" for key, value in keys.items())
    path.write_text(f"{HEAD}gates:\n  {section}:\n    -\n{lines}")
    return load_deploy(path)


@pytest.mark.parametrize(
    ("keys", "path", "message"),
    [
        ({}, "", "needs `max`, `min` or both; without a limit nothing is a breach; `baseline: previous` needs no"
         " number to guess"),
        ({"max": "1", "min": "2"}, ".min", "`min` is above `max`; every number would be a breach"),
        ({"max": ".nan"}, ".max", 'should be a number, not ".nan"'),
        ({"max": "1", "on_no_data": "pass"}, ".on_no_data", 'should be `hold` or `rollback`, not "pass"'),
        ({"max_ratio": "2"}, "", "`max_ratio` has nothing to compare with; add `baseline: previous`"),
        ({"max": "1", "baseline": "previous"}, ".baseline",
         "says no limit against it; add `max_ratio`, `max_difference` or their `min_`"),
        ({"baseline": "previous", "min_ratio": "2", "max_ratio": "1"}, ".min_ratio",
         "`min_ratio` is above `max_ratio`; every number would be a breach"),
        ({"max": "1", "min_samples": "0"}, ".min_samples", 'should be at least 1, not "0"'),
        ({"max": "1", "login": "{token: hunter2}"}, ".login.token",
         "a secret doesn't belong in deploy.yaml; name its source: `{env: NAME}` or `{file: ~/…}`"),
        ({"max": "1", "login": "{username: me}"}, ".login", "`username` and `password` go together"),
        ({"max": "1", "login": f"{{token: {SOURCE}, username: a, password: {SOURCE}}}"}, ".login",
         "needs exactly one of `token` and `username`"),
        ({"max": "1", "login": f"{{username: 'a:b', password: {SOURCE}}}"}, ".login.username",
         "holds a colon; basic authentication has no such user name"),
        ({"max": "1", "login": "{token: {env: A, file: b}}"}, ".login.token",
         "needs exactly one of `env` and `file`"),
        ({"max": "1", "prometheus": "http://prom:9090", "login": f"{{token: {SOURCE}}}"}, ".login",
         "sends its login over plain http; use https, or 127.0.0.1 from the controller"),
        ({"max": "1", "prometheus": "'http://prom/graph?g0=1'"}, ".prometheus",
         'should be the address of the server alone, not "http://prom/graph?g0=1"; such as `http://127.0.0.1:9090`;'
         " the query goes into `query:`"),
        ({"max": "1", "query": "'rate(x[$window])'"}, ".query",
         "uses $window, which isn't a variable; there are `$app`, `$target`, `$tag`, `$since`; `$$` is a dollar sign"),
        ({"max": "1", "query": "'x @ 1609746000'"}, ".query",
         "reads samples of one fixed moment (`@`); nothing from before the switch counts: leave `@ …` out"),
        ({"max": "1", "name": "logs"}, ".name", "is the name of another gate: logs"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_metric_gate(tmp_path: Path, keys: dict[str, str], path: str, message: str) -> None:
    assert mistake(tmp_path, "metrics", {**METRIC, **keys}) == f"gates.metrics[0]{path}: {message}"


@pytest.mark.parametrize(
    ("section", "keys", "path", "message"),
    [
        ("json", JSON, "", "needs `equals`, or `max`, `min` or both; without a limit nothing is a breach"),
        ("json", {**JSON, "max": "1", "equals": "2"}, "",
         "needs `equals`, or `max`, `min` or both; without a limit nothing is a breach"),
        ("json", {**JSON, "field": "a..b", "max": "1"}, ".field",
         'should be keys and list positions with a dot between them, not "a..b"; such as `data.items.0.value`'),
        ("commands", {**COMMAND, "run": "check"}, ".run",
         'should be a list, not "check"; write `[a, b]`, or one `- a` on each line'),
        ("commands", {**COMMAND, "run": "['']"}, ".run[0]", "names no program"),
        ("commands", {**COMMAND, "from_": "moon"}, ".from", 'should be `target` or `controller`, not "moon"'),
    ],
)  # fmt: skip
def test_a_mistake_in_another_one(tmp_path: Path, section: str, keys: dict[str, str], path: str, message: str) -> None:
    assert mistake(tmp_path, section, keys) == f"gates.{section}[0]{path}: {message}"


def mistake(tmp_path: Path, section: str, keys: dict[str, str]) -> str:
    """The one error, without its file and line; both have to be there."""
    with pytest.raises(DesiredStateError) as raised:
        load(tmp_path, section, **keys)
    place, _, text = str(raised.value).removeprefix(str(tmp_path)).lstrip("/").partition(": ")
    assert place.startswith("deploy.yaml:")
    assert "\n" not in text
    return text


def test_everything_but_the_limit_has_a_default_that_holds(tmp_path: Path) -> None:
    (gate,) = load(tmp_path, "metrics", **METRIC, max="0.05").gates.metrics
    assert (gate.on_no_data, gate.on_error, gate.from_) == ("hold", "hold", "controller")
    assert (gate.initial_delay, gate.min_samples, gate.breach_limit, gate.login) == (0.0, 1, None, None)


def test_a_login_goes_over_https_or_to_this_machine(tmp_path: Path) -> None:
    login = f"{{username: ops, password: {SOURCE}}}"
    for address in ("https://prom.example", "http://[::1]:9090", "http://localhost:9090"):
        keys = {**METRIC, "prometheus": f"'{address}'", "max": "1", "login": login}
        assert load(tmp_path, "metrics", **keys).gates.metrics[0].login is not None


@pytest.mark.parametrize(("written", "value"), [("ok", "ok"), ("true", True), ("3", 3), ("0.5", 0.5)])
def test_a_json_field_may_have_to_equal_anything(tmp_path: Path, written: str, value: object) -> None:
    (gate,) = load(tmp_path, "json", **JSON, equals=written).gates.json_
    assert (gate.equals, isinstance(gate.equals, bool)) == (value, isinstance(value, bool))


def test_a_file_with_all_of_them_can_be_written_and_read_again(tmp_path: Path) -> None:
    deploy = load(tmp_path, "json", **JSON, equals="ok")
    assert Deploy.model_validate(deploy.model_dump(mode="json", by_alias=True)) == deploy
