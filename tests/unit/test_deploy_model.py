"""deploy.yaml is checked whole: every mistake gets one line with its place and a hint, and nothing is ignored."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path, PurePosixPath

import pytest
from pydantic import TypeAdapter, ValidationError

from reconciler.adapters.desired.load import DesiredStateErrors, load_deploy
from reconciler.model.deploy import Deploy
from reconciler.model.errors import DesiredStateError, ExitCode
from reconciler.model.gates import Gates
from reconciler.model.quantities import Duration, Percent, Size, duration_text

MINIMAL = """\
apiVersion: reconciler/v1
app: observer
tag: 20260122_101500
compose: app/compose.yaml
targets:
  prod:
    host: local
    deploy_dir: /srv/observer
"""
"""Eight lines: what a test adds starts in line 9."""

OF_THE_DESIGN = """\
apiVersion: reconciler/v1
app: observer
tag: "20260122_101500"
compose: [desired_state/observer/compose.yaml, desired_state/observer/prod.yaml]
image:
  repository: observer
  delivery: registry
  credentials: {username: ci, password: {env: REGISTRY_PASSWORD}}
env:
  template: desired_state/observer/env.template
  values: .env.server
  delivery: file
targets:
  prod:
    host: 203.0.113.10
    port: 2222
    user: azureuser
    identity_file: ~/.ssh/id_ed25519
    known_hosts: ops/known_hosts
    deploy_dir: /home/azureuser/observer-deploy
    engine: compose
    project: observer-prod
    sudo: true
writable: [logs, archives/data, runtime/state, temp, uploads]
gates:
  window: 30s
  interval: 500ms
  containers: {running: 100%, max_restarts: 0}
  http: [{name: api, url: "http://127.0.0.1:8000/healthz", from: controller, status: 204, timeout: 3s}]
  logs: {fatal: ["FATAL", "CRITICAL"], max: 0}
  resources: {cpu_percent: 80, memory_percent: 85%, disk_percent: 90.5}
  network: [{name: db, tcp: "db.internal:5432"}, {name: web, http: "https://example.org/"}]
stabilization: {period: 24h, interval: 1m, breach_limit: 2}
rollback: {on_breach: true, write_back: false, deadline: 10m, watchdog: 90s}
drift: {every: 5m, policy: alert}
records: {dir: ops/run_records, commit: true, push: false}
rollout: {max_parallel: 5, pause: 30s, on_failure: halt}
retention: {releases: 5}
daemon: {listen: "127.0.0.1:9464"}
"""


def _load(tmp_path: Path, text: str) -> Deploy:
    path = tmp_path / "deploy.yaml"
    path.write_text(text, encoding="utf-8")
    return load_deploy(path)


def _errors(tmp_path: Path, text: str) -> list[str]:
    """The lines of the error, without the directory."""
    with pytest.raises(DesiredStateError) as caught:
        _load(tmp_path, text)
    assert caught.value.exit_code == ExitCode.ERROR
    return [line.removeprefix(f"{tmp_path}/").removeprefix(f"{tmp_path}\\") for line in str(caught.value).split("\n")]


def test_the_smallest_file_has_safe_defaults(tmp_path: Path) -> None:
    deploy = _load(tmp_path, MINIMAL)

    assert deploy.tag == "20260122_101500"
    assert deploy.compose == (PurePosixPath("app/compose.yaml"),)
    assert deploy.image.repository == ()
    assert deploy.image.delivery == "registry"
    assert deploy.env.values is None
    assert deploy.writable == ()
    assert (deploy.gates.window, deploy.gates.interval) == (30.0, 2.0)
    assert (deploy.gates.containers.running, deploy.gates.containers.max_restarts) == (100.0, 0)
    assert deploy.stabilization.period == timedelta(hours=24).total_seconds()
    assert (deploy.rollback.deadline, deploy.rollback.watchdog) == (600.0, 90.0)
    assert (deploy.drift.every, deploy.drift.policy) == (300.0, "heal")
    assert (deploy.records.dir, deploy.records.commit) == (PurePosixPath("ops/run_records"), True)
    assert deploy.project_of("prod") == "observer"
    target = deploy.targets["prod"]
    assert target.is_local
    assert not target.sudo
    assert target.docker_socket == "/var/run/docker.sock"


def test_sections_left_out_are_what_their_empty_selves_are(tmp_path: Path) -> None:
    """The defaults of sections are built without validation (it is faster): they have to be valid all the same."""
    sections = [name for name, field in Deploy.model_fields.items() if field.default_factory]
    empty = "".join(f"{section}: {{}}\n" for section in sections)

    assert len(sections) == 15

    assert _load(tmp_path, MINIMAL + empty) == _load(tmp_path, MINIMAL)
    assert Gates.model_validate({"containers": {}, "logs": {}, "resources": {}}) == Gates()


def test_every_section_of_the_design_is_read(tmp_path: Path) -> None:
    deploy = _load(tmp_path, OF_THE_DESIGN)

    assert [path.name for path in deploy.compose] == ["compose.yaml", "prod.yaml"]
    assert deploy.image.credentials is not None
    assert deploy.image.credentials.password.env == "REGISTRY_PASSWORD"
    target = deploy.targets["prod"]
    assert (target.host, target.port, target.user, target.sudo) == ("203.0.113.10", 2222, "azureuser", True)
    assert target.deploy_dir == PurePosixPath("/home/azureuser/observer-deploy")
    assert deploy.project_of("prod") == "observer-prod"
    assert deploy.writable[1] == PurePosixPath("archives/data")
    (http,) = deploy.gates.http
    assert (http.from_, http.status, http.timeout) == ("controller", 204, 3.0)
    assert deploy.gates.interval == 0.5
    assert deploy.gates.logs.fatal == ("FATAL", "CRITICAL")
    assert deploy.gates.resources.disk_percent == 90.5
    assert [gate.from_ for gate in deploy.gates.network] == ["target", "target"]


def test_a_loaded_file_can_be_written_and_read_again(tmp_path: Path) -> None:
    deploy = _load(tmp_path, OF_THE_DESIGN)

    assert Deploy.model_validate(deploy.model_dump(mode="json", by_alias=True)) == deploy


def test_gates_of_later_versions_have_their_models_already() -> None:
    metric = {"name": "errors", "prometheus": "http://127.0.0.1:9090", "query": "up", "max": 0.05}
    scenario = {"name": "rotate", "service": "observer", "run": ["/scenarios/capture", ""]}
    gates = Gates.model_validate({"metrics": [metric], "scenarios": [scenario]})

    assert (gates.metrics[0].max, gates.metrics[0].on_no_data) == (0.05, "hold")
    assert (gates.scenarios[0].run, gates.scenarios[0].timeout) == (("/scenarios/capture", ""), 60.0)
    del metric["max"]
    with pytest.raises(ValidationError, match="needs `max`, `min` or both"):
        Gates.model_validate({"metrics": [metric]})


def test_nothing_of_it_can_be_changed(tmp_path: Path) -> None:
    deploy = _load(tmp_path, MINIMAL)

    with pytest.raises(ValidationError):
        deploy.targets["prod"].host = "elsewhere"  # type: ignore[misc]


MISTAKES = [
    ("app: Observer", "app", 'should be a name, not "Observer"; lower-case letters, digits, `-` and `_`, at most 63, '
     "the first a letter or a digit"),
    (f"app: {'x' * 64}", "app", f'should be a name, not "{"x" * 59}…"; lower-case letters, digits, `-` and `_`, '
     "at most 63, the first a letter or a digit"),
    ("tag: 20260230_101500", "tag", 'should be a tag with a real date and time, not "20260230_101500"; '
     "form: YYYYMMDD_HHMMSS, such as `20260122_101500`"),
    ("tag: 20260122", "tag", 'should be a tag, not "20260122"; form: YYYYMMDD_HHMMSS, such as `20260122_101500`'),
    ("tag: latest", "tag", 'should be a tag, not "latest"; form: YYYYMMDD_HHMMSS, such as `20260122_101500`'),
    ("apiVersion: v2", "apiVersion", 'should be `reconciler/v1`, not "v2"'),
    ("compose: []", "compose", "is empty; it needs at least one entry"),
    ("compose:", "compose", "should be a list, not empty; write `[a, b]`, or one `- a` on each line"),
    ("compose: /etc/compose.yaml", "compose", 'should be a relative path, not "/etc/compose.yaml"; '
     "it is read from the directory of deploy.yaml on"),
    ("compose: 'C:/compose.yaml'", "compose", 'should be a relative path, not "C:/compose.yaml"; '
     "it is read from the directory of deploy.yaml on"),
    (r"compose: app\compose.yaml", "compose", r'should be a path with forward slashes, not "app\compose.yaml"; '
     "`a/b`, on Windows too"),
    ("compose: [a.yaml, b.yaml, ./a.yaml]", "compose[2]", "is listed twice: a.yaml"),
    ("compose: [a.yaml, {b: 1}]", "compose[1]", "should be a path, not a mapping"),
    ("targets: {}", "targets", "is empty; it needs at least one entry"),
    ("targets: [prod]", "targets", "should be a mapping, not a list"),
    ("windows: {}", "windows", "should be a list, not a mapping; write `[a, b]`, or one `- a` on each line"),
    ("windows: [{kind: allow, cron: '0 8 * *', duration: 8h}]", "windows[0].cron",
     'should be five fields: minute, hour, day, month, day of the week, not "0 8 * *"; such as `0 8 * * mon-fri`'),
    ("windows: [{kind: allow, cron: '0 8 * * 1-5', duration: 8h}]", "windows[0].cron",
     "has a day of the week as a number; write `sun`, `mon` and so on: 0 is Sunday to some programs and Monday to "
     "others"),
    ("windows: [{kind: allow, cron: '0 8 * * mon', duration: 8h, timezone: Mars/Olympus}]", "windows[0].timezone",
     'should be a time zone that this machine knows, not "Mars/Olympus"; such as `UTC` or `Europe/Berlin`'),
    ("language: rust", "language", "comes with a later version; leave it out"),
    ("image: {delivery: archive}", "image.delivery",
     "isn't available in this version yet; leave it out or set it to `registry`"),
    ("image: {delivery: pigeon}", "image.delivery",
     'should be `registry`, `archive` or `present`, not "pigeon"'),
    ("image: {repository: 'observer:1.0'}", "image.repository",
     'should be an image repository without a tag, not "observer:1.0"; the tag comes from `tag:`'),
    ("image: {repository: [observer, Big]}", "image.repository[1]",
     'should be an image repository, not "Big"; such as `observer` or `registry.example:5000/team/observer`'),
    ("image: {credentials: {username: u, password: hunter2}}", "image.credentials.password",
     "a password doesn't belong in deploy.yaml; name its source: `{env: NAME}` or `{command: [program, …]}`"),
    ("image: {credentials: {username: u, password: {env: hunter-2}}}", "image.credentials.password.env",
     "should be a name, not this text; letters, digits and `_`, the first not a digit"),
    ("image: {credentials: {username: u, password: {}}}", "image.credentials.password",
     "needs exactly one of `env` and `command`"),
    ("env: {values: secrets.age}", "env.values",
     "is encrypted, and nothing says with what to read it; add `env.identity`"),
    ("env: {values: {prod: .env.prod}}", "env.values.prod", "isn't a known key; known here: file, command"),
    ("env: {values: {file: a, command: [b]}}", "env.values", "needs exactly one of `file` and `command`"),
    ("env: {values: {command: sops}}", "env.values.command",
     'should be a list, not "sops"; write `[a, b]`, or one `- a` on each line'),
    ("env: {identity: AGE-SECRET-KEY-1HUNTER2}", "env.identity",
     "a secret key doesn't belong in deploy.yaml; name its source: `{file: ~/…}` or `{env: NAME}`"),
    ("env: {identity: {file: AGE-SECRET-KEY-1HUNTER2}}", "env.identity",
     "holds a secret key; name the file that has it, and make a new key: this one is known"),
    ("env: {identity: {}}", "env.identity", "needs exactly one of `file` and `env`"),
    ("env: {recipients: [AGE-SECRET-KEY-1HUNTER2]}", "env.recipients[0]",
     "holds a secret key; name the public one, `age1…`, and make a new key: this one is known"),
    ("env: {recipients: [me]}", "env.recipients[0]", 'should be a recipient, not "me"; '
     "`age1…`, or a line of an SSH key's .pub file: `ssh-ed25519 …`, `ssh-rsa …`"),
    ("env: {valeus: .env.prod}", "env.valeus", "isn't a known key; did you mean `values`?"),
    ("writable: logs", "writable", 'should be a list, not "logs"; write `[a, b]`, or one `- a` on each line'),
    ("writable: [logs, ../logs]", "writable[1]",
     'should be a path below its directory, not "../logs"; without `..`'),
    ("writable: [releases/x]", "writable[0]",
     'should be a directory of the app, not "releases/x"; `releases` is the reconciler\'s own'),
    ("writable: [logs, logs/]", "writable[1]", "is listed twice: logs"),
    ("gates: {window: 30}", "gates.window",
     'should be a duration with its unit, not "30"; such as `500ms`, `30s`, `10m` or `24h`'),
    ("gates: {window: 0s}", "gates.window", 'should be longer than 0s, not "0s"'),
    ("gates: {window: 1s}", "gates.window", "is shorter than `gates.interval`; nothing would be measured twice"),
    ("gates: {containers: {running: 101%}}", "gates.containers.running",
     'should be a percentage from 0 to 100, not "101%"; such as `80` or `80%`'),
    ("gates: {containers: {max_restarts: 1_0}}", "gates.containers.max_restarts",
     'should be a whole number, not "1_0"; without quotes, underscores or leading zeros'),
    ("gates: {containers: {max_restarts: -1}}", "gates.containers.max_restarts", 'should be at least 0, not "-1"'),
    ("gates: {http: [{name: api}]}", "gates.http[0].url", "is required"),
    ("gates: {http: [{name: api, url: ftp://x}]}", "gates.http[0].url",
     'should be an http:// or https:// address, not "ftp://x"; such as `http://127.0.0.1:8000/healthz`'),
    ("gates: {http: [{name: api, url: 'http://x:99999/'}]}", "gates.http[0].url",
     'should be an http:// or https:// address, not "http://x:99999/"; such as `http://127.0.0.1:8000/healthz`'),
    ("gates: {http: [{name: api, url: 'http://me:hunter2@x/'}]}", "gates.http[0].url",
     "holds a user name or a password; those don't belong in deploy.yaml"),
    ("gates: {http: [{name: api, url: 'http://a/', from: moon}]}", "gates.http[0].from",
     'should be `target` or `controller`, not "moon"'),
    ("gates: {http: [{name: a, url: 'http://a/'}], network: [{name: a, tcp: 'a:1'}]}", "gates.network[0].name",
     "is the name of another gate: a"),
    ("gates: {network: [{name: db}]}", "gates.network[0]", "needs exactly one of `tcp` and `http`"),
    ("gates: {network: [{name: db, tcp: db}]}", "gates.network[0].tcp",
     'should be `host:port`, not "db"; such as `db.internal:5432`'),
    ("gates: {logs: {fatal: ['ok', '(']}}", "gates.logs.fatal[1]",
     'should be a regular expression, not "("; missing ), unterminated subpattern at character 1'),
    ("gates: {scenarios: [1]}", "gates.scenarios", "isn't available in this version yet; leave it out"),
    ("stabilization: {period: 0s}", "stabilization.period", 'should be longer than 0s, not "0s"'),
    ("stabilization: {period: 99999h}", "stabilization.period",
     'should be at most a year, not "99999h"; 8784h is the longest duration'),
    ("rollback: {on_breach: yes}", "rollback.on_breach",
     'should be true or false, not "yes"; YAML\'s `yes`, `no`, `on` and `off` are text here'),
    ("rollback: {deadline: 0ms}", "rollback.deadline", 'should be longer than 0s, not "0ms"'),
    ("drift: {policy: heel}", "drift.policy", 'should be `heal` or `alert`, not "heel"'),
    ("records: {branch: -x}", "records.branch",
     'should be the name of a branch, not "-x"; such as `main`, without `refs/heads/`'),
    ("records: {dir: .}", "records.dir", 'should be a path below its directory, not "."; without `..`'),
    ("records: {dir: ../records}", "records.dir",
     'should be a path below its directory, not "../records"; without `..`'),
    ("rollout: {canary: [prod]}", "rollout.canary", "isn't available in this version yet; leave it out"),
    ("rollout: {max_parallel: 2}", "rollout.max_parallel",
     "isn't available in this version yet; leave it out or set it to `5`"),
    ("rollout: {pause: 1s}", "rollout.pause",
     "isn't available in this version yet; leave it out or set it to `30s`"),
    ("rollout: {on_failure: continue}", "rollout.on_failure",
     "isn't available in this version yet; leave it out or set it to `halt`"),
    ("retention: {releases: 0}", "retention.releases", 'should be at least 1, not "0"'),
    ("rollback: {write_back: true}\ngit: {require_signed: /etc/signers}", "rollback.write_back",
     "would put unsigned commits where only signed ones count; name another `records.branch`, and merge it by a signed "
     "commit"),
    ("git: {branch: HEAD}", "git.branch",
     'should be the name of a branch, not "HEAD"; such as `main`, without `refs/heads/`'),
    ("git: {url: 'https://me:hunter2@git.example/ops.git'}", "git.url",
     "holds a password; name its source under `git.token`"),
    ("git: {url: 'ext::sh -c id'}", "git.url",
     "would run a program; name the repository by https://, ssh:// or a path"),
    ("git: {url: '--upload-pack=id'}", "git.url",
     'should be the address of a repository, not "--upload-pack=id"; an option of git isn\'t one'),
    ("git: {token: hunter2}", "git.token",
     "a secret doesn't belong in deploy.yaml; name its source: `{env: NAME}` or `{file: ~/…}`"),
    ("daemon: {token: {env: A, file: b}}", "daemon.token", "needs exactly one of `env` and `file`"),
    ("daemon: {listen: '9464'}", "daemon.listen", 'should be `host:port`, not "9464"; such as `db.internal:5432`'),
    ("gates:", "gates", "should be a mapping, not empty"),
    ("suspend: true", "suspend", "isn't a known key; known here: apiVersion, app, tag, compose, image, env, targets, "
     "writable, policy, gates, stabilization, rollback, timeouts, drift, windows, records, rollout, retention, "
     "housekeeping, git, daemon, notify"),
    ('"a\\u202eb": 1', "a\\u202eb", "isn't a known key; known here: apiVersion, app, tag, compose, image, env, "
     "targets, writable, policy, gates, stabilization, rollback, timeouts, drift, windows, records, rollout, "
     "retention, housekeeping, git, daemon, notify"),
]  # fmt: skip


@pytest.mark.parametrize(("section", "path", "message"), MISTAKES, ids=[mistake[0] for mistake in MISTAKES])
def test_a_mistake_gets_one_line_with_its_place(tmp_path: Path, section: str, path: str, message: str) -> None:
    key = section.partition(":")[0]
    lines = MINIMAL.splitlines()
    if key == "targets":
        lines[4:] = [section]
        number = 5
    else:
        number = next((i for i, line in enumerate(lines, 1) if line.startswith(f"{key}:")), len(lines) + 1)
        lines[number - 1 : number] = [section]

    assert _errors(tmp_path, "\n".join(lines)) == [f"deploy.yaml:{number}: {path}: {message}"]


IN_A_TARGET = [
    ("host: me@server", 'should be a host name or an address, not "me@server"; the user goes under `user:`'),
    ("host: server:22", 'should be a host name or an address, not "server:22"; the port goes under `port:`'),
    ("host: -oProxyCommand=x", 'should be a host name or an address, not "-oProxyCommand=x"; '
     "`local` means this machine"),
    ("port: 22:22", 'should be a whole number, not "22:22"; without quotes, underscores or leading zeros'),
    ("port: 022", 'should be a whole number, not "022"; without quotes, underscores or leading zeros'),
    ("port: '22'", 'should be a whole number, not "22"; without quotes, underscores or leading zeros'),
    ("port: 0", 'should be at least 1, not "0"'),
    ("port: 65536", 'should be at most 65535, not "65536"'),
    ("port: true", "should be a whole number, not true; without quotes, underscores or leading zeros"),
    ("user: -x", 'should be a user name, not "-x"'),
    ("deploy_dir: /", 'should be a directory of its own, not "/"; `/` holds everything else of the server'),
    ("deploy_dir: //", 'should be a directory of its own, not "//"; `/` holds everything else of the server'),
    ("deploy_dir: /srv/../etc", 'should be a path without `..`, not "/srv/../etc"'),
    ("deploy_dir: ~/app", 'should be an absolute path, not "~/app"; '
     "write it in full, from `/` on: `~` and relative paths depend on who asks"),
    ("deploy_dir: /srv/a:b", 'should be a path without `:`, not "/srv/a:b"; Docker separates the parts of a mount '
     "by it"),
    ('deploy_dir: "/srv/a\\nb"', "holds the control character U+000A; it has to be one line of plain text"),
    ("engine: swarm", "isn't available in this version yet; leave it out or set it to `compose`"),
    ("sudo: no", 'should be true or false, not "no"; YAML\'s `yes`, `no`, `on` and `off` are text here'),
    ("docker_host: tcp://server:2375", 'should be a Unix socket on the target, not "tcp://server:2375"; '
     "such as `unix:///var/run/docker.sock`; TCP would need no login"),
    ("project: 3.10", 'should be a name, not "3.10"; lower-case letters, digits, `-` and `_`, at most 63, '
     "the first a letter or a digit"),
    ("identity_file: ' '", "is empty; fill it, or leave it out"),
    ("hots: x", "isn't a known key; did you mean `host`?"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "message"), IN_A_TARGET, ids=[mistake[0] for mistake in IN_A_TARGET])
def test_a_mistake_in_a_target_gets_one_line(tmp_path: Path, line: str, message: str) -> None:
    key = line.partition(":")[0]
    target = {"host": "host: server", "deploy_dir": "deploy_dir: /srv/observer", key: line}
    text = MINIMAL.partition("    host:")[0] + "".join(f"    {each}\n" for each in target.values())
    number = text.splitlines().index(f"    {line}") + 1

    assert _errors(tmp_path, text) == [f"deploy.yaml:{number}: targets.prod.{key}: {message}"]


@pytest.mark.parametrize(
    "host", ["local", "server", "srv_1.example.org", "203.0.113.10", "2001:db8::1", "fe80::1%eth0"]
)
def test_hosts_by_name_address_and_alias_are_accepted(tmp_path: Path, host: str) -> None:
    deploy = _load(tmp_path, MINIMAL.replace("host: local", f"host: '{host}'"))

    assert deploy.targets["prod"].host == host
    assert deploy.targets["prod"].is_local == (host == "local")


def test_numbers_are_text_where_the_field_is_text(tmp_path: Path) -> None:
    text = MINIMAL.replace("observer\n", "2024\n", 1).replace("host: local", "host: 10.20\n    user: 1000")
    deploy = _load(tmp_path, text)

    assert (deploy.app, deploy.targets["prod"].host, deploy.targets["prod"].user) == ("2024", "10.20", "1000")


@pytest.mark.parametrize("key", ["port: 22", "user: me", "identity_file: ~/key", "known_hosts: hosts"])
def test_a_login_for_this_machine_is_refused_not_ignored(tmp_path: Path, key: str) -> None:
    name = key.partition(":")[0]

    assert _errors(tmp_path, MINIMAL + f"    {key}\n") == [
        f"deploy.yaml:9: targets.prod.{name}: has no meaning with `host: local`; leave it out"
    ]


def test_two_targets_never_share_a_directory_or_a_project(tmp_path: Path) -> None:
    second = "  second: {host: local, deploy_dir: /srv/observer, project: second}\n"
    assert _errors(tmp_path, MINIMAL + second) == [
        "deploy.yaml:9: targets.second.deploy_dir: is the directory of target prod, too"
    ]

    second = "  second: {host: local, deploy_dir: /srv/second}\n"
    assert _errors(tmp_path, MINIMAL + second) == [
        "deploy.yaml:9: targets.second.project: is the Compose project of target prod, too; "
        "two instances on one host need two names"
    ]

    second = "  second: {host: local, deploy_dir: /srv/second, project: second}\n"
    assert set(_load(tmp_path, MINIMAL + second).targets) == {"prod", "second"}


def test_a_targets_name_is_checked_at_its_own_line(tmp_path: Path) -> None:
    assert _errors(tmp_path, MINIMAL.replace("  prod:", "  the prod:")) == [
        'deploy.yaml:6: targets.the prod: should be a name, not "the prod"; '
        "letters, digits, `.`, `-` and `_`, at most 63, the first a letter or a digit"
    ]


def test_a_target_named_like_a_key_is_no_confusion(tmp_path: Path) -> None:
    text = MINIMAL.replace("  prod:", "  host:") + "    hots: 1\n"

    assert _errors(tmp_path, text) == ["deploy.yaml:9: targets.host.hots: isn't a known key; did you mean `host`?"]


def test_what_is_missing_is_named_with_what_to_add(tmp_path: Path) -> None:
    assert _errors(tmp_path, "x: 1\n")[1:] == [
        "deploy.yaml:1: app: is required; add `app: <the Compose project's name>`",
        "deploy.yaml:1: tag: is required; add `tag: YYYYMMDD_HHMMSS`",
        "deploy.yaml:1: compose: is required; add `compose: <path of the Compose file>`",
        "deploy.yaml:1: targets: is required; add one target with `host` and `deploy_dir`",
        "deploy.yaml:1: x: isn't a known key; known here: apiVersion, app, tag, compose, image, env, targets, "
        "writable, policy, gates, stabilization, rollback, timeouts, drift, windows, records, rollout, retention, "
        "housekeeping, git, daemon, notify",
    ]


def test_every_mistake_is_reported_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = MINIMAL.replace("app: observer", "app: O") + "drift: {policy: x}\nnotify: 1\n"
    lines = _errors(tmp_path, text)

    assert [line.split(":")[1] for line in lines] == ["2", "9", "10"]


def test_more_than_ten_mistakes_are_counted(tmp_path: Path) -> None:
    text = MINIMAL + "".join(f"unknown{number}: 1\n" for number in range(14))
    lines = _errors(tmp_path, text)

    assert len(lines) == 11
    assert lines[-1] == "(and 4 more)"
    with pytest.raises(DesiredStateErrors) as caught:
        _load(tmp_path, text)
    assert len(caught.value.errors) == 14


def test_long_values_are_cut_and_control_characters_escaped(tmp_path: Path) -> None:
    (line,) = _errors(tmp_path, MINIMAL.replace("observer\n", '"O\\n\\r\\u202e' + "x" * 500 + '"\n', 1))

    assert line.startswith('deploy.yaml:2: app: should be a name, not "O\\n\\r\\u202e' + "x" * 55 + '…"; ')
    assert line.isprintable()


@pytest.mark.parametrize(
    "section",
    [
        "image: {credentials: {username: u, password: hunter2}}",
        "image: {credentials: {username: u, password: [hunter2]}}",
        "image: {credentials: hunter2}",
        "image: {credentials: {username: u, password: {env: hunter2!}}}",
        "image: {credentials: {username: u, password: {command: hunter2}}}",
        "image: {credentials: {username: u, password: {value: hunter2}}}",
        "password: hunter2",
        "gates: {http: [{name: a, url: 'http://me:hunter2@host/'}]}",
        "gates: {http: [{name: a, url: 'https//me:hunter2@host/'}]}",
        "git: {url: 'https://me:hunter2@host/'}",
    ],
)
def test_what_may_be_a_password_is_never_shown(tmp_path: Path, section: str) -> None:
    text = "\n".join(_errors(tmp_path, MINIMAL + section))

    assert "hunter2" not in text


def test_patterns_too_large_to_compile_are_refused(tmp_path: Path) -> None:
    nested = "(" * 240 + ")" * 240
    for pattern in ("x{99999999999999999999}", nested):
        try:
            _load(tmp_path, MINIMAL + f"gates: {{logs: {{fatal: ['{pattern}']}}}}")
        except DesiredStateError as error:
            assert str(error).endswith("this one is too large to compile")  # noqa: PT017 - some Pythons compile it

    (line,) = _errors(tmp_path, MINIMAL + f"gates: {{logs: {{fatal: ['{'x' * 501}']}}}}")
    assert line.startswith("deploy.yaml:9: gates.logs.fatal[0]: should be at most 500 characters long")


@pytest.mark.parametrize(
    ("written", "seconds"), [("500ms", 0.5), ("30s", 30), ("10m", 600), ("24h", 86400), ("1.5h", 5400), ("0s", 0)]
)
def test_durations_are_seconds(written: str, seconds: float) -> None:
    assert TypeAdapter(Duration).validate_python(written) == seconds
    assert TypeAdapter(Duration).validate_python(duration_text(seconds)) == seconds


@pytest.mark.parametrize(
    "written", ["", "30", 30, 1.5, True, None, "-1s", "1 s", "1d", "s", "1h30m", "١s", "1S", "1s\n"]
)
def test_anything_else_is_no_duration(written: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Duration).validate_python(written)


def test_sizes_are_bytes_and_percentages_percent() -> None:
    assert TypeAdapter(Size).validate_python("64MiB") == 64 * 2**20
    assert TypeAdapter(Size).validate_python("1.5KiB") == 1536
    assert [TypeAdapter(Percent).validate_python(each) for each in ("80", "80%", 80, 12.5)] == [80, 80, 80, 12.5]
    no_sizes: list[object] = ["64MB", 64, "64", "MiB"]
    no_percentages: list[object] = ["-1", "100.1", 101, float("nan"), True, None, "80 %"]
    for wrong in no_sizes:
        with pytest.raises(ValidationError):
            TypeAdapter(Size).validate_python(wrong)
    for wrong in no_percentages:
        with pytest.raises(ValidationError):
            TypeAdapter(Percent).validate_python(wrong)


def test_the_model_imports_no_yaml_and_no_io() -> None:
    program = "import reconciler.model.deploy, sys; print({'yaml', 'docker', 'paramiko'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"
