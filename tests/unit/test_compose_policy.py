"""The Compose policy: every rule finds what it is for, and nothing else, at the severity and with the exceptions that
deploy.yaml says; and no finding quotes the model, in which env values are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from reconciler.adapters.desired.load import load_deploy
from reconciler.core.compose_mounts import Grounds
from reconciler.core.compose_policy import Finding, errors, judge, refusal, warnings
from reconciler.model.compose_policy import DEFAULT_SEVERITY, ComposePolicy, Rule
from reconciler.model.deploy import Deploy
from reconciler.model.errors import DesiredStateError
from reconciler.model.release import Rendering

PRIVATE = "/tmp/reconciler.abc"
ROOT = f"{PRIVATE}/1/2"
TAG = "20260101_000001"
GROUNDS = Grounds(
    deploy_dir=PurePosixPath("/srv/app"),
    docker_socket=PurePosixPath("/run/user/1000/docker.sock"),
    writable=(PurePosixPath("state"), PurePosixPath("archives/data")),
    repositories=("app", "registry.example:5000/team/app"),
    tag=TAG,
)
FINE = {"image": f"app:{TAG}", "healthcheck": {"test": ["CMD", "true"]}, "restart": "always", "mem_limit": "1048576"}
DOCS = Path(__file__).parents[2] / "docs" / "policy"


def rendering(web: Mapping[str, Any], project_dir: str = ".", **top: Any) -> Rendering:
    """A model whose service web is fine but for what `web` says; None takes a key away."""
    service = {key: value for key, value in {**FINE, **web}.items() if value is not None}
    others = top.pop("services", {})
    model = {"name": "app", "services": {"web": service, **others}, **top}
    return Rendering(model=model, root=ROOT, project_dir=project_dir, private=PRIVATE)


def judged(
    web: Mapping[str, Any],
    policy: Mapping[str, Any] | None = None,
    *,
    grounds: Grounds = GROUNDS,
    **top: Any,
) -> tuple[Finding, ...]:
    return judge(rendering(web, **top), grounds, ComposePolicy.model_validate(policy or {}))


def bind(source: str, **more: Any) -> dict[str, Any]:
    return {"volumes": [{"type": "bind", "source": source, "target": "/x", **more}]}


def ro(source: str) -> dict[str, Any]:
    return bind(source, read_only=True)


def driven(device: str, o: str = "bind", **mount: Any) -> dict[str, Any]:
    """A named volume that is a bind mount by its driver's options, and the service that mounts it."""
    options = {"type": "none", "o": o, "device": device}
    mounts = [{"type": "volume", "source": "data", "target": "/x", **mount}]
    return {"volumes": mounts, "top": {"volumes": {"data": {"name": "d", "driver_opts": options}}}}


def of_file(kind: str, file: str) -> dict[str, Any]:
    return {kind: [{"source": "f"}], "top": {kind: {"f": {"file": file}}}}


def image(reference: str | None) -> dict[str, Any]:
    return {"image": reference}


VIOLATING: dict[Rule, list[tuple[dict[str, Any], str]]] = {
    Rule.WRITABLE_BIND: [
        (bind("/srv/data"), "volumes[0] is a read-write mount of something outside of the writable areas"),
        (bind(f"{ROOT}/app.conf"), "volumes[0] is"),
        (bind(f"{ROOT}/statement"), "volumes[0] is"),
        (bind(f"{ROOT}/state/../app.conf"), "volumes[0] is"),
        (bind(f"{ROOT}/archives"), "volumes[0] is"),
        (bind("/srv/app"), "volumes[0] is"),
        (bind("/srv/app/.reconciler/state"), "volumes[0] is"),
        (bind("/srv/app/state/../releases"), "volumes[0] is"),
        (bind("/etc/localtime"), "volumes[0] is"),
        (bind("/srv/data", read_only=False), "volumes[0] is"),
        ({"volumes": [*ro("/a")["volumes"], *bind("/b")["volumes"]]}, "volumes[1] is"),
        (driven("/srv/data"), "volumes[0] is"),
        (driven("./relative"), "volumes[0] is"),
        (driven("/srv/data", "rbind,rw"), "volumes[0] is"),
    ],
    Rule.HOST_MOUNT: [
        (ro("/"), "volumes[0] mounts `/` of the host"),
        (ro("/etc"), "volumes[0] mounts `/etc`, or something in it, of the host"),
        (ro("/etc/nginx/nginx.conf"), "volumes[0] mounts `/etc`, or"),
        (ro("/root"), "volumes[0] mounts `/root`, or"),
        (ro("/root/.ssh"), "volumes[0] mounts `/root`, or"),
        (ro("//etc//passwd"), "volumes[0] mounts `/etc`, or"),
        (ro("/srv/../etc/shadow"), "volumes[0] mounts `/etc`, or"),
        (ro("/srv/.."), "volumes[0] mounts `/` of"),
        (ro("/etc/ssl"), "volumes[0] mounts `/etc`, or"),
        (ro("/etc/localtime/../shadow"), "volumes[0] mounts `/etc`, or"),
        (of_file("secrets", "/etc/shadow"), "secrets[0] mounts `/etc`, or"),
        (of_file("configs", "/root/app.conf"), "configs[0] mounts `/root`, or"),
        (driven("/etc", "bind,ro"), "volumes[0] mounts `/etc`, or"),
    ],
    Rule.DOCKER_SOCKET: [
        (bind("/var/run/docker.sock"), "volumes[0] mounts the Docker socket"),
        (ro("/var/run/docker.sock"), "volumes[0] mounts the Docker socket"),
        (ro("/run/docker.sock"), "volumes[0] mounts the Docker socket"),
        (ro("/run/user/1000/docker.sock"), "volumes[0] mounts the Docker socket"),
        (ro("/elsewhere/docker.sock"), "volumes[0] mounts the Docker socket"),
        (ro("/run/containerd/containerd.sock"), "volumes[0] mounts the Docker socket"),
        (ro("/var/run/podman/podman.sock"), "volumes[0] mounts the Docker socket"),
        (ro("/run"), "volumes[0] mounts the directory of the Docker socket"),
        (ro("/var/run/"), "volumes[0] mounts the directory of the Docker socket"),
        (ro("/run/user/1000"), "volumes[0] mounts the directory of the Docker socket"),
        (of_file("secrets", "/var/run/docker.sock"), "secrets[0] mounts the Docker socket"),
        (driven("/run", "bind,ro"), "volumes[0] mounts the directory of the Docker socket"),
        ({"use_api_socket": True}, "use_api_socket mounts the Docker socket"),
    ],
    Rule.LATEST_IMAGE: [
        (image("redis"), "image has no tag, which means latest"),
        (image("registry.example:5000/redis"), "image has no tag, which means latest"),
        (image("redis:latest"), "image has the tag latest"),
        (image("registry.example:5000/team/redis:latest"), "image has the tag latest"),
        (image("redis:latest-alpine"), "image has the tag latest"),
        (image("redis:alpine-latest"), "image has the tag latest"),
        (image("cafe"), "image has no tag, which means latest"),
        (image("z" * 64), "image has no tag, which means latest"),
    ],
    Rule.RELEASE_TAG: [
        (image("app:20250101_000000"), "image is of image.repository and doesn't carry the release's tag"),
        (image("registry.example:5000/team/app:1.2"), "image is of image.repository"),
        (image("app@sha256:" + "0" * 64), "image is of image.repository"),
    ],
    Rule.PRIVILEGED: [
        ({"privileged": True}, "privileged runs with all rights of the host's root"),
        ({"post_start": [{"command": ["a"]}, {"command": ["b"], "privileged": True}]}, "post_start[1].privileged runs"),
        ({"pre_stop": [{"command": ["a"], "privileged": True}]}, "pre_stop[0].privileged runs"),
    ],
    Rule.ADDED_CAPABILITY: [
        ({"cap_add": ["NET_ADMIN"]}, "cap_add[0] is more than Docker's default capabilities"),
        ({"cap_add": ["CHOWN", "CAP_SYS_ADMIN"]}, "cap_add[1] is more"),
        ({"cap_add": ["all"]}, "cap_add[0] is more"),
        ({"cap_add": ["sys_ptrace"], "cap_drop": ["ALL"]}, "cap_add[0] is more"),
    ],
    Rule.HOST_NETWORK: [
        ({"network_mode": "host"}, "network_mode is the host's own network"),
        (
            {"networks": {"n": None}, "top": {"networks": {"n": {"name": "host", "external": True}}}},
            "networks.n is the host's own network",
        ),
    ],
    Rule.HOST_PID: [({"pid": "host"}, "pid is the host's own process namespace")],
    Rule.HOST_NAMESPACE: [
        ({"ipc": "host"}, "ipc is the host's own ipc namespace"),
        ({"uts": "host"}, "uts is the host's own uts namespace"),
        ({"cgroup": "host"}, "cgroup is the host's own cgroup namespace"),
        ({"userns_mode": "host"}, "userns_mode is the host's own user namespace"),
    ],
    Rule.FOREIGN_CONTAINER: [
        ({"network_mode": "container:vpn"}, "network_mode is shared with a container of somebody else"),
        ({"pid": "container:vpn"}, "pid is shared"),
        ({"ipc": "container:vpn"}, "ipc is shared"),
        ({"volumes_from": ["db", "container:vpn:ro"]}, "volumes_from[1] has the mounts of a container"),
    ],
    Rule.HEALTH_CHECK: [
        ({"healthcheck": None}, "has no health check"),
        ({"healthcheck": {"disable": True}}, "has no health check"),
        ({"healthcheck": {"test": ["NONE"]}}, "has no health check"),
        ({"healthcheck": {"interval": "5s"}}, "has no health check"),
    ],
    Rule.RESTART_POLICY: [
        ({"restart": None}, "has no restart policy"),
        ({"deploy": {"restart_policy": {"condition": "none"}}}, "has no restart policy"),
        ({"restart": None, "deploy": {"restart_policy": {"delay": "5s"}}}, "has no restart policy"),
        ({"restart": None, "deploy": {"restart_policy": None}}, "has no restart policy"),
    ],
    Rule.MEMORY_LIMIT: [
        ({"mem_limit": None}, "has no memory limit"),
        ({"mem_limit": "0"}, "has no memory limit"),
        ({"mem_limit": None, "deploy": {"resources": {"limits": {"cpus": 1}}}}, "has no memory limit"),
        ({"mem_limit": None, "deploy": {"resources": None}}, "has no memory limit"),
        ({"mem_limit": None, "restart": "no"}, "has no memory limit"),
    ],
}

ALSO = {
    "the socket's directory, read-write": (bind("/run"), {Rule.DOCKER_SOCKET, Rule.WRITABLE_BIND}),
    "/etc, read-write": (bind("/etc/app"), {Rule.HOST_MOUNT, Rule.WRITABLE_BIND}),
    "an image of ours without a tag": (image("app"), {Rule.LATEST_IMAGE, Rule.RELEASE_TAG}),
}

WAITED_FOR = {"job": {**FINE, "depends_on": {"web": {"condition": "service_healthy"}}}}
RUN_TO_THE_END = {"job": {**FINE, "depends_on": {"web": {"condition": "service_completed_successfully"}}}}

NOTHING_WRONG: dict[str, dict[str, Any]] = {
    "fine": {},
    "a writable area": bind(f"{ROOT}/state"),
    "below a writable area": bind(f"{ROOT}/archives/data/deep"),
    "a writable area by its place": bind("/srv/app/state"),
    "a writable area from a Compose file in a directory": {**bind(f"{ROOT}/prod/state"), "project_dir": "prod"},
    "a tracked file, read-only": ro(f"{ROOT}/app.conf"),
    "the host's data, read-only": ro("/srv/data"),
    "clock": ro("/etc/localtime"),
    "time zone": ro("/etc/timezone"),
    "certificates": ro("/etc/ssl/certs/ca.pem"),
    "not /etc": ro("/etcetera"),
    "not /root": ro("/rooted"),
    "not the socket's directory": ro("/run/user/10"),
    "a named volume": {"volumes": [{"type": "volume", "source": "data"}], "top": {"volumes": {"data": {"name": "d"}}}},
    "a volume of an undefined name": {"volumes": [{"type": "volume", "target": "/x"}]},
    "a driven volume of a writable area": driven(f"{ROOT}/state"),
    "a driven volume, mounted read-only": driven("/srv/data", read_only=True),
    "a driven volume, read-only itself": driven("/srv/data", "bind,ro"),
    "a network file system": driven(":/export", "addr=nas,rw"),
    "tmpfs": {"volumes": [{"type": "tmpfs", "target": "/x"}]},
    "a secret of the sources": of_file("secrets", f"{ROOT}/certificate.pem"),
    "a secret from the env values": {"secrets": [{"source": "t"}], "top": {"secrets": {"t": {"environment": "T"}}}},
    "a pinned image": image("redis:7.2.4"),
    "a registry's port is no tag": image("registry.example:5000/redis:7"),
    "an image by digest": image("redis@sha256:" + "0" * 64),
    "latest, pinned by digest": image("redis:latest@sha256:" + "0" * 64),
    "an image by id": image("sha256:" + "0" * 64),
    "an image by bare id": image("0" * 64),
    "a variant of ours": image(f"app:{TAG}-alpine"),
    "another's image of a like name": image("application:1.2"),
    "no image": image(None),
    "a default capability given back": {"cap_drop": ["ALL"], "cap_add": ["NET_BIND_SERVICE", "cap_chown"]},
    "a network of the app's own, named host": {
        "networks": {"host": None},
        "top": {"networks": {"host": {"name": "h"}}},
    },
    "an external network": {
        "networks": {"n": None},
        "top": {"networks": {"n": {"name": "n", "external": True}}},
    },
    "a network named host, not the host's": {
        "networks": {"n": None},
        "top": {"networks": {"n": {"name": "host"}}},
    },
    "no network": {"network_mode": "none"},
    "namespaces of another service": {"network_mode": "service:db", "pid": "service:db", "ipc": "shareable"},
    "a private cgroup": {"cgroup": "private"},
    "a health check of the image, awaited": {"healthcheck": None, "top": {"services": WAITED_FOR}},
    "a one-shot": {"restart": "no", "healthcheck": None},
    "a one-shot by what waits for it": {"restart": None, "healthcheck": None, "top": {"services": RUN_TO_THE_END}},
    "restarts by deploy": {"restart": None, "deploy": {"restart_policy": {"condition": "any"}}},
    "a limit by deploy": {"mem_limit": None, "deploy": {"resources": {"limits": {"memory": "1048576"}}}},
}

ROWS = [
    pytest.param(rule, web, what, id=f"{rule.value}-{position}")
    for rule, rows in VIOLATING.items()
    for position, (web, what) in enumerate(rows)
]


def apart(web: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A row's service, and what it has at the top of the model."""
    service = dict(web)
    top = dict(service.pop("top", {}))
    if "project_dir" in service:
        top["project_dir"] = service.pop("project_dir")
    return service, top


def judged_row(web: Mapping[str, Any], policy: Mapping[str, Any] | None = None) -> tuple[Finding, ...]:
    service, top = apart(web)
    return judged(service, policy, **top)


def test_every_rule_has_rows() -> None:
    assert VIOLATING.keys() == set(Rule)


@pytest.mark.parametrize(("rule", "web", "what"), ROWS)
class TestEveryRule:
    def test_finds_it_alone_and_says_where(self, rule: Rule, web: dict[str, Any], what: str) -> None:
        (finding,) = judged_row(web)
        assert (finding.rule, finding.severity, finding.service) == (rule, DEFAULT_SEVERITY[rule], "web")
        assert finding.what.startswith(what)
        assert finding.fix

    @pytest.mark.parametrize("severity", ["error", "warning", "off"])
    def test_has_the_severity_that_is_set(self, rule: Rule, web: dict[str, Any], what: str, severity: str) -> None:
        findings = judged_row(web, {"rules": {rule.value: severity}})
        assert [finding.severity for finding in findings] == ([] if severity == "off" else [severity])
        assert len(errors(findings)) == (severity == "error")
        assert len(warnings(findings)) == (severity == "warning")

    def test_is_silent_where_it_is_allowed(self, rule: Rule, web: dict[str, Any], what: str) -> None:
        assert judged_row(web, {"allow": [{"rule": rule.value, "service": "web", "reason": "because"}]}) == ()

    def test_is_not_silent_for_another_service_or_rule(self, rule: Rule, web: dict[str, Any], what: str) -> None:
        other = next(each for each in Rule if each is not rule)
        exceptions = [(rule, "web2"), (rule, "we"), (other, "web")]
        allow = [{"rule": name.value, "service": service, "reason": "because"} for name, service in exceptions]
        found = [finding for finding in judged_row(web, {"allow": allow}) if finding.what.startswith(what)]
        assert [(finding.rule, finding.service) for finding in found] == [(rule, "web")]


@pytest.mark.parametrize("web", NOTHING_WRONG.values(), ids=NOTHING_WRONG.keys())
def test_what_is_fine_is_not_found(web: dict[str, Any]) -> None:
    assert judged_row(web) == ()


@pytest.mark.parametrize(("web", "rules"), ALSO.values(), ids=ALSO.keys())
def test_what_is_wrong_twice_is_found_twice(web: dict[str, Any], rules: set[Rule]) -> None:
    """So a rule that is switched off hides nothing that another one is for."""
    assert {finding.rule for finding in judged_row(web)} == rules
    for rule in rules:
        assert {finding.rule for finding in judged_row(web, {"rules": {rule.value: "off"}})} == rules - {rule}


def test_an_app_that_lives_below_root_mounts_its_own() -> None:
    grounds = Grounds(PurePosixPath("/root/app"), GROUNDS.docker_socket, GROUNDS.writable, (), TAG)
    assert judged(bind("/root/app/state"), grounds=grounds) == ()
    assert judged(ro("/root/app/other"), grounds=grounds) == ()
    assert [finding.rule for finding in judged(ro("/root/other"), grounds=grounds)] == [Rule.HOST_MOUNT]


def test_what_comes_with_the_sources_is_no_place_of_the_host_wherever_they_are_rendered() -> None:
    """On a target whose TMPDIR is below /root."""
    model = rendering(ro("/root/tmp/reconciler.x/led/out")).model
    found = Rendering(model=model, root="/root/tmp/reconciler.x/1/2", project_dir=".", private="/root/tmp/reconciler.x")
    assert judge(found, GROUNDS, ComposePolicy()) == ()
    adopted = Rendering(model=rendering(ro("/root/app/app.conf")).model, root="/root/app", project_dir=".")
    assert judge(adopted, GROUNDS, ComposePolicy()) == ()


def test_the_socket_of_the_target_is_one_whatever_its_name() -> None:
    grounds = replace(GROUNDS, docker_socket=PurePosixPath("/srv/engine/api"))
    assert [finding.rule for finding in judged(ro("/srv/engine/api"), grounds=grounds)] == [Rule.DOCKER_SOCKET]
    assert [finding.rule for finding in judged(ro("/srv/engine"), grounds=grounds)] == [Rule.DOCKER_SOCKET]
    assert judged(ro("/srv/engine/other"), grounds=grounds) == ()


def test_an_exception_that_allows_nothing_is_a_warning() -> None:
    """Else a typing error would leave the app refused without a reason, and an old one would wait for its chance."""
    allow = [
        {"rule": "docker-socket", "service": "web", "reason": "because"},
        {"rule": "host-pid", "service": "wbe", "reason": "because"},
    ]
    findings = judged({"pid": "host"}, {"allow": allow})
    assert len(errors(findings)) == 1
    idle, unknown = warnings(findings)
    assert "web: policy.allow[0]: nothing of it has to be allowed there (docker-socket)" in idle
    assert "wbe: policy.allow[1]: the Compose model has no such service (host-pid)" in unknown


def test_an_exception_for_a_service_of_an_inactive_profile_waits_for_it() -> None:
    policy = ComposePolicy.model_validate({"allow": [{"rule": "privileged", "service": "debug", "reason": "because"}]})
    assert judge(replace(rendering({}), everything=("web", "debug")), GROUNDS, policy) == ()
    assert len(judge(replace(rendering({}), everything=("web", "other")), GROUNDS, policy)) == 1
    assert len(judge(replace(rendering({}), everything=None), GROUNDS, policy)) == 1


def test_an_exception_of_a_rule_that_is_off_is_no_idle_one() -> None:
    allow = [{"rule": "host-pid", "service": "web", "reason": "because"}]
    assert judged({"pid": "host"}, {"rules": {"host-pid": "off"}, "allow": allow}) == ()


def test_one_line_for_each_error_and_one_for_each_kind_of_warning() -> None:
    bare = {"image": "redis:7", "restart": "always", "healthcheck": {"test": ["CMD", "true"]}}
    findings = judged({"privileged": True, "pid": "host"}, services={"a": bare, "b": bare})
    assert errors(findings) == (
        "service web: privileged runs with all rights of the host's root (privileged);"
        " give it the one device or capability that it needs",
        "service web: pid is the host's own process namespace (host-pid); leave it out",
    )
    assert warnings(findings) == (
        "policy: a, b: has no memory limit (memory-limit);"
        " add `mem_limit:`, so that it can't take the memory of its neighbours",
    )
    whole = refusal(errors(findings), TAG)
    assert TAG in whole
    assert "\n" not in whole
    assert all(line in whole for line in errors(findings))


CANARY = "cAnAry-5f1e"


@pytest.mark.parametrize(
    "web",
    [
        bind(f"/etc/{CANARY}"),
        bind(f"/srv/{CANARY}"),
        bind(f"/{CANARY}/docker.sock"),
        bind("/srv/data", target=f"/{CANARY}"),
        driven(f"/root/{CANARY}"),
        of_file("secrets", f"/etc/{CANARY}"),
        image(f"{CANARY.lower()}:latest"),
        image(f"app:{CANARY}"),
        {"cap_add": [CANARY]},
        {"network_mode": f"container:{CANARY}"},
        {"volumes_from": [f"container:{CANARY}"]},
    ],
)
def test_no_finding_quotes_the_model(web: dict[str, Any]) -> None:
    """Anything in it may come from an env value; only names that Compose doesn't interpolate are said."""
    findings = judged_row(web)
    assert findings
    assert CANARY.lower() not in " ".join((*errors(findings), *warnings(findings), repr(findings))).lower()


@pytest.mark.parametrize("rule", list(Rule), ids=str)
def test_every_rule_has_a_page_that_says_its_name_and_severity(rule: Rule) -> None:
    page = (DOCS / f"{rule.value}.md").read_text(encoding="utf-8")
    assert page.startswith(f"# {rule.value}\n")
    assert f"Severity: {DEFAULT_SEVERITY[rule]}" in page
    for heading in ("## Why", "## What is found", "## How to fix it", "## How to allow it"):
        assert f"\n{heading}\n" in page
    assert f"{{rule: {rule.value}, service: " in page
    assert f"({rule.value}.md)" in (DOCS / "README.md").read_text(encoding="utf-8")


def test_no_page_is_left_of_a_rule_that_is_gone() -> None:
    assert {page.stem for page in DOCS.glob("*.md")} == {rule.value for rule in Rule} | {"README"}


MINIMAL = """\
apiVersion: reconciler/v1
app: observer
tag: 20260122_101500
compose: app/compose.yaml
targets: {prod: {host: local, deploy_dir: /srv/observer}}
"""


def load(tmp_path: Path, policy: str) -> Deploy:
    file = tmp_path / "deploy.yaml"
    file.write_text(f"{MINIMAL}policy: {policy}\n")
    return load_deploy(file)


def test_the_section_is_read(tmp_path: Path) -> None:
    policy = load(
        tmp_path,
        "{rules: {latest-image: warning, memory-limit: off},"
        " allow: [{rule: docker-socket, service: agent, reason: reads container stats}]}",
    ).policy
    assert [policy.severity(rule) for rule in (Rule.LATEST_IMAGE, Rule.MEMORY_LIMIT)] == ["warning", "off"]
    assert policy.severity(Rule.PRIVILEGED) == "error"
    (allowed,) = policy.allow
    assert (allowed.rule, allowed.service, allowed.reason) == ("docker-socket", "agent", "reads container stats")


def test_grounds_are_those_of_the_target(tmp_path: Path) -> None:
    deploy = load(tmp_path, "{}")
    grounds = Grounds.of(deploy, "prod", tag="t")
    assert (grounds.deploy_dir, grounds.docker_socket) == (
        PurePosixPath("/srv/observer"),
        PurePosixPath("/run/docker.sock"),
    )


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ("{rules: {latest-imag: off}}", 'policy.rules.latest-imag: should be a rule, not "latest-imag"; did you mean'
         " `latest-image`?"),
        ("{rules: {x: off}}", 'policy.rules.x: should be a rule, not "x"; docs/policy/ has one page for each rule'),
        ("{rules: {latest-image: no}}", "policy.rules.latest-image: should be `error`, `warning` or `off`, not \"no\""),
        ("{rules: {host-pid: false}}", "policy.rules.host-pid: should be `error`, `warning` or `off`, not false"),
        ("{allow: [{rule: nosuch-rule, service: a, reason: b}]}", "policy.allow[0].rule: should be a rule, not"),
        ("{allow: [{rule: privileged, service: a}]}", "policy.allow[0].reason: is required"),
        ("{allow: [{rule: privileged, service: a, reason: ' '}]}", "policy.allow[0].reason: is empty"),
        ("{allow: [{rule: privileged, reason: b}]}", "policy.allow[0].service: is required"),
        ("{allow: [{rule: privileged, service: a, reason: b}, {rule: privileged, service: a, reason: c}]}",
         "policy.allow[1]: is listed twice"),
    ],
)  # fmt: skip
def test_a_mistake_in_it_is_one_line_with_its_place(tmp_path: Path, policy: str, said: str) -> None:
    with pytest.raises(DesiredStateError) as caught:
        load(tmp_path, policy)
    (line,) = str(caught.value).split("\n")
    assert line.startswith(f"{tmp_path}/deploy.yaml:6: {said}")
