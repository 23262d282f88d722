"""core/render.py: from a resolved model to a release that needs nothing outside of itself."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import pytest

from reconciler.core.render import ORDER, Place, SelfContained, image_references, self_contained
from reconciler.model.errors import PreflightFailed
from reconciler.model.observed import LABEL_APP, LABEL_DIGEST
from reconciler.model.release import Rendering
from reconciler.model.sources import SourceFile, SourceTree

PRIVATE = "/tmp/reconciler.abc"
ROOT = f"{PRIVATE}/1/2"
IMAGES = {"app:1": "sha256:" + "1" * 64, "app:2": "sha256:" + "2" * 64}
KEY = bytes(32)
PLACE = Place(
    deploy_dir=PurePosixPath("/srv/app"),
    app="app",
    project="app-prod",
    writable=(PurePosixPath("state"), PurePosixPath("archives/data")),
    key=KEY,
)
FILES = {
    "compose.yaml": b"services: {}\n",
    "app.conf": b"listen 80\n",
    "twin.conf": b"listen 80\n",
    "conf/a": b"a",
    "conf/deep/b": b"b",
    "state/.gitkeep": b"",
}


def tree(files: Mapping[str, bytes] = FILES, executable: tuple[str, ...] = ()) -> SourceTree:
    return SourceTree(
        root=PurePosixPath("desired_state/app"),
        files=tuple(
            SourceFile(PurePosixPath(path), 0o755 if path in executable else 0o644, data)
            for path, data in sorted(files.items())
        ),
        compose=(PurePosixPath("compose.yaml"),),
    )


def bind(source: str, **more: Any) -> dict[str, Any]:
    return {"type": "bind", "source": source, "target": "/x", **more}


def model(services: Mapping[str, Any] | None = None, **top: Any) -> dict[str, Any]:
    services = {"web": {}} if services is None else services
    return {
        "name": "whatever",
        "services": {name: {"image": "app:1", **service} for name, service in services.items()},
        **top,
    }


def render(
    resolved: Mapping[str, Any],
    *,
    sources: SourceTree | None = None,
    place: Place = PLACE,
    tag: str = "20260101_000000",
    env: Mapping[str, str] | None = None,
    project_dir: str = ".",
    private: str = PRIVATE,
    root: str = ROOT,
    images: Mapping[str, str] = IMAGES,
) -> SelfContained:
    rendering = Rendering(model=resolved, root=root, project_dir=project_dir, private=private)
    return self_contained(rendering, sources or tree(), place, tag=tag, images=images, env=env or {})


def web(service: Mapping[str, Any], **top: Any) -> dict[str, Any]:
    """What becomes of a service, less our labels."""
    found = dict(render(model({"web": service}, **top)).model["services"]["web"])
    labels = {key: value for key, value in found.pop("labels").items() if key not in {LABEL_APP, LABEL_DIGEST}}
    return {**found, "labels": labels} if labels else found


BARE = {"image": IMAGES["app:1"], "environment": {}}


@pytest.mark.parametrize(
    ("service", "left"),
    [
        pytest.param({}, {}, id="the image by its id"),
        pytest.param({"build": {"context": ROOT}, "develop": {"watch": [{"path": ROOT}]}}, {}, id="build"),
        pytest.param({"pull_policy": "always", "profiles": ["x"], "x-a": 1, "env_file": [f"{ROOT}/e"]}, {}, id="gone"),
        pytest.param({"environment": {"A": "1", "B": None, "C": ""}}, {"environment": {"A": "1", "C": ""}}, id="shell"),
        pytest.param({"labels": {"a": "b"}}, {"labels": {"a": "b"}}, id="labels"),
        pytest.param({"scale": 1}, {}, id="one of it"),
        pytest.param({"scale": 3}, {"scale": 3}, id="three"),
        pytest.param({"scale": 0}, {"scale": 0}, id="none"),
        pytest.param({"deploy": {"replicas": 2}}, {"scale": 2}, id="replicas"),
        pytest.param({"deploy": {"replicas": 1}}, {}, id="one replica"),
        pytest.param(
            {"deploy": {"replicas": 2, "resources": {"limits": {}}}},
            {"scale": 2, "deploy": {"resources": {"limits": {}}}},
            id="replicas and more",
        ),
        pytest.param({"depends_on": {"web": {}}}, {ORDER: {"web": {}}}, id="the order is ours"),
    ],
)
def test_a_service_in_a_release(service: dict[str, Any], left: dict[str, Any]) -> None:
    assert web(service) == {**BARE, **left}


@pytest.mark.parametrize(
    ("source", "becomes"),
    [
        ("/etc/localtime", "/etc/localtime"),
        ("/tmp/other/file", "/tmp/other/file"),
        (f"{ROOT}/state", "/srv/app/state"),
        (f"{ROOT}/state/deep/er", "/srv/app/state/deep/er"),
        (f"{ROOT}/archives/data", "/srv/app/archives/data"),
    ],
)
def test_mounts_of_the_host_and_of_writable_areas(source: str, becomes: str) -> None:
    assert web({"volumes": [bind(source, read_only=True)]})["volumes"] == [bind(becomes, read_only=True)]


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        (f"{ROOT}/untracked", "./untracked, which is neither"),
        (f"{ROOT}/statement", "./statement, which is neither"),
        (f"{ROOT}/archives", "./archives, which is neither"),
        (f"{ROOT}/app.con", "./app.con, which is neither"),
        (ROOT, "./., which is neither"),
        (f"{PRIVATE}/1/data", "../data, which lies outside"),
        (f"{PRIVATE}/data", "../../data, which lies outside"),
    ],
)
def test_what_is_neither_writable_nor_tracked(source: str, shown: str) -> None:
    """As a mount, a config and a secret: the message names whose it is and the path as written."""
    for whose, resolved in {
        "service web": model({"web": {"volumes": [bind(source)]}}),
        "config c": model(configs={"c": {"file": source}}),
        "secret s": model(secrets={"s": {"file": source}}),
    }.items():
        with pytest.raises(PreflightFailed) as refused:
            render(resolved)
        assert str(refused.value).startswith(f"{whose} mounts {shown}")


class TestFiles:
    """Mounted files and directories are stored by content."""

    def test_a_file_and_its_twin(self) -> None:
        """Two files of one content keep two names: a mount of the other name would find nothing."""
        done = render(model({"web": {"volumes": [bind(f"{ROOT}/app.conf"), bind(f"{ROOT}/twin.conf")]}}))
        stored = {file.name: file for file in done.files}
        assert set(stored) == {"app.conf", "twin.conf"}
        for volume, name in zip(done.model["services"]["web"]["volumes"], stored, strict=True):
            assert volume["source"] == f"/srv/app/.reconciler/files/{stored[name].sha256}/{name}"
            assert stored[name].entries == (("", 0o644, b"listen 80\n"),)
        assert stored["app.conf"].sha256 != stored["twin.conf"].sha256

    def test_a_directory_with_all_that_is_below(self) -> None:
        done = render(
            model({"web": {"volumes": [bind(f"{ROOT}/conf")]}}), sources=tree({**FILES, "config/c": b""}, ("conf/a",))
        )
        [stored] = done.files
        assert stored.name == "conf"
        assert stored.entries == (("a", 0o755, b"a"), ("deep/b", 0o644, b"b"))

    def test_one_file_is_stored_once(self) -> None:
        done = render(
            model(
                {"web": {"volumes": [bind(f"{ROOT}/app.conf")]}, "two": {"volumes": [bind(f"{ROOT}/app.conf")]}},
                configs={"c": {"name": "x_c", "file": f"{ROOT}/app.conf"}},
            )
        )
        [stored] = done.files
        assert done.model["configs"]["c"] == {
            "name": "x_c",
            "file": f"/srv/app/.reconciler/files/{stored.sha256}/app.conf",
        }

    @pytest.mark.parametrize(
        ("changed", "executable"),
        [
            ({"conf/a": b"b"}, ()),
            ({"conf/new": b""}, ()),
            ({"conf/a2": b"a", "conf/a": None}, ()),
            ({}, ("conf/a",)),
        ],
    )
    def test_what_changes_a_directory(self, changed: dict[str, bytes | None], executable: tuple[str, ...]) -> None:
        resolved = model({"web": {"volumes": [bind(f"{ROOT}/conf")]}, "other": {}})
        files = {path: data for path, data in {**FILES, **changed}.items() if data is not None}
        before, after = render(resolved), render(resolved, sources=tree(files, executable))
        assert before.files[0].sha256 != after.files[0].sha256
        assert before.services["web"].digest != after.services["web"].digest
        assert before.services["other"] == after.services["other"]

    def test_below_a_project_directory_of_its_own(self) -> None:
        """With Compose files in two directories, `.` is the first one's; writable areas count from there."""
        files = {"base/compose.yaml": b"", "base/x": b"x", "prod/y": b"y"}
        volumes = [bind(f"{ROOT}/base/state"), bind(f"{ROOT}/prod/y"), bind(f"{ROOT}/base")]
        done = render(model({"web": {"volumes": volumes}}), sources=tree(files), project_dir="base")
        sources = [volume["source"] for volume in done.model["services"]["web"]["volumes"]]
        assert sources[0] == "/srv/app/state"
        assert {file.name for file in done.files} == {"y", "base"}
        with pytest.raises(PreflightFailed, match=r"mounts \./\.\./state, which is neither"):
            render(model({"web": {"volumes": [bind(f"{ROOT}/state")]}}), sources=tree(files), project_dir="base")

    def test_a_config_in_a_writable_area_stays_there(self) -> None:
        """Somebody put it on the server; it isn't ours to store."""
        done = render(model(secrets={"s": {"file": f"{ROOT}/state/tls.key"}}))
        assert done.model["secrets"]["s"]["file"] == "/srv/app/state/tls.key"
        assert done.files == ()

    def test_a_volume_that_is_a_bind_mount(self) -> None:
        options = {"type": "none", "o": "bind", "device": f"{ROOT}/state"}
        done = render(model(volumes={"v": {"driver_opts": options}, "w": None, "u": {"driver_opts": {"type": "nfs"}}}))
        assert done.model["volumes"]["v"]["driver_opts"]["device"] == "/srv/app/state"


@pytest.mark.parametrize(
    ("resolved", "where"),
    [
        (model({"web": {"credential_spec": {"file": f"{ROOT}/spec"}}}), "services.web.credential_spec.file"),
        (model({"web": {"command": ["cat", f"{ROOT}/app.conf"]}}), r"services.web.command\[1\]"),
        (model(volumes={"v": {"driver_opts": {"device": f"{ROOT}/no"}}}), "volumes.v.driver_opts.device"),
        (model({"web": {"devices": [f"{PRIVATE}/1/dev:/dev/x"]}}), r"services.web.devices\[0\]"),
    ],
)
def test_nothing_may_point_at_the_private_directory(resolved: dict[str, Any], where: str) -> None:
    with pytest.raises(PreflightFailed, match=f"^{where}: this refers to a path of the sources"):
        render(resolved)


def test_an_adopted_directory_stays() -> None:
    """What runs was rendered in deploy_dir itself: paths of it are no leftovers, and `../x` is next to it."""
    resolved = model({"web": {"command": ["/srv/app/run"], "volumes": [bind("/srv/shared"), bind("/srv/app/state")]}})
    done = render(resolved, root="/srv/app", private="")
    assert [volume["source"] for volume in done.model["services"]["web"]["volumes"]] == [
        "/srv/shared",
        "/srv/app/state",
    ]


def test_images() -> None:
    rendering = Rendering(
        model=model({"a": {"image": "b:2"}, "b": {"image": "a:1"}, "c": {"image": "a:1"}}), root=ROOT, project_dir="."
    )
    assert image_references(rendering) == ("a:1", "b:2")
    unbuilt: list[dict[str, Any]] = [{"image": None, "build": {}}, {"image": ""}]
    for missing in unbuilt:
        broken = Rendering(model=model({"job": missing}), root=ROOT, project_dir=".")
        with pytest.raises(PreflightFailed, match=r"^service job has no image:"):
            image_references(broken)


def test_labels_and_names() -> None:
    done = render({**model(), "x-top": {"path": ROOT}})
    assert done.model["name"] == "app-prod"
    assert "x-top" not in done.model
    labels = done.model["services"]["web"]["labels"]
    assert labels == {LABEL_APP: "app", LABEL_DIGEST: done.services["web"].digest}


def test_the_rendering_is_left_as_it_is() -> None:
    resolved = model(
        {"web": {"volumes": [bind(f"{ROOT}/state")], "deploy": {"replicas": 2}, "environment": {"A": None}}},
        configs={"c": {"file": f"{ROOT}/app.conf"}},
    )
    before = copy.deepcopy(resolved)
    render(resolved)
    assert resolved == before


BASE: dict[str, Any] = model(
    {
        "web": {
            "environment": {"LEVEL": "info"},
            "configs": [{"source": "inline", "target": "/c"}],
            "secrets": [{"source": "token"}],
            "networks": {"front": None},
            "volumes": [{"type": "volume", "source": "data", "target": "/d"}],
        },
        "client": {"network_mode": "service:web"},
        "other": {"networks": {"front": None}},
    },
    configs={"inline": {"name": "app_inline", "content": "a"}, "unused": {"content": "u"}},
    secrets={"token": {"name": "app_token", "environment": "TOKEN"}},
    networks={"front": {"name": "app_front", "ipam": {}}},
    volumes={"data": {"name": "app_data"}},
)
EVERY = {"web", "client", "other"}


def changed(path: str, value: Any) -> dict[str, Any]:
    """BASE with one value set, by a dotted path."""
    resolved = copy.deepcopy(BASE)
    *parents, last = path.split(".")
    place = resolved
    for parent in parents:
        place = place.setdefault(parent, {})
    place[last] = value
    return resolved


@pytest.mark.parametrize(
    ("path", "value", "services"),
    [
        ("services.web.environment.LEVEL", "debug", {"web", "client"}),
        ("services.web.labels", {"a": "b"}, {"web", "client"}),
        ("services.web.image", "app:2", {"web", "client"}),
        ("services.web.deploy", {"labels": {"a": "b"}}, {"web", "client"}),
        ("services.web.deploy", {"resources": {"limits": {"memory": "1"}}}, {"web", "client"}),
        ("services.client.command", ["x"], {"client"}),
        ("services.other.healthcheck", {"disable": True}, {"other"}),
        ("configs.inline.content", "b", {"web", "client"}),
        ("configs.unused.content", "v", set()),
        ("secrets.token.environment", "ANOTHER", {"web", "client"}),
        ("networks.front.name", "else", EVERY),
        ("networks.front.external", True, EVERY),
        ("volumes.data.name", "else", {"web", "client"}),
        # What Compose doesn't recreate for, either:
        ("services.web.depends_on", {"other": {"condition": "service_started"}}, set()),
        ("services.web.scale", 3, set()),
        ("services.web.deploy", {"replicas": 3}, set()),
        ("services.web.build", {"context": ROOT}, set()),
        ("services.web.pull_policy", "always", set()),
        ("services.web.x-note", "n", set()),
        ("services.web.environment.NOT_GIVEN", None, set()),
        ("networks.front.ipam", {"driver": "x"}, set()),
        ("x-note", "n", set()),
    ],
)
def test_which_digests_a_change_reaches(path: str, value: Any, services: set[str]) -> None:
    env = {"TOKEN": "t", "ANOTHER": "u"}
    before, after = render(BASE, env=env), render(changed(path, value), env=env)
    assert {name for name in EVERY if before.services[name].digest != after.services[name].digest} == services


@pytest.mark.parametrize(
    ("path", "value", "another"),
    [
        ("services.web.depends_on", {"other": {"condition": "service_started"}}, True),
        ("services.web.scale", 3, True),
        ("networks.front.ipam", {"driver": "x"}, True),
        ("services.web.x-note", "n", False),
        ("services.web.profiles", ["p"], False),
        ("services.web.build", {"context": ROOT}, False),
        ("x-note", "n", False),
        ("name", "n", False),
    ],
)
def test_what_makes_another_release(path: str, value: Any, another: bool) -> None:
    """The release's digest covers its whole model, also where no container is touched."""
    assert (render(BASE).digest != render(changed(path, value)).digest) is another


def test_values_tag_and_key_make_another_release() -> None:
    base = render(BASE, env={"TOKEN": "t"})
    assert render(BASE, env={"TOKEN": "t"}).digest == base.digest
    token = render(BASE, env={"TOKEN": "u"})
    assert token.digest != base.digest
    assert {name for name in EVERY if token.services[name].digest != base.services[name].digest} == {"web", "client"}
    unused = render(BASE, env={"TOKEN": "t", "UNUSED": "x"})
    assert unused.digest != base.digest
    assert unused.services == base.services
    later = render(BASE, env={"TOKEN": "t"}, tag="20260102_000000")
    assert later.digest != base.digest
    assert later.services == base.services
    elsewhere = Place(PLACE.deploy_dir, PLACE.app, PLACE.project, PLACE.writable, bytes(31) + b"\1")
    assert render(BASE, env={"TOKEN": "t"}, place=elsewhere).digest != base.digest
    assert render(BASE, env={"TOKEN": "t"}, place=elsewhere).services["other"] != base.services["other"]


def test_where_it_was_rendered_leaves_no_trace() -> None:
    """Two renderings of the same sources are the same release."""
    one = model({"web": {"volumes": [bind(f"{ROOT}/conf"), bind(f"{ROOT}/state")]}})
    other = model({"web": {"volumes": [bind("/tmp/reconciler.xyz/1/conf"), bind("/tmp/reconciler.xyz/1/state")]}})
    second = render(other, root="/tmp/reconciler.xyz/1", private="/tmp/reconciler.xyz")
    assert render(one).model == second.model
    assert render(one).digest == second.digest


def test_facts_come_from_the_whole_model() -> None:
    """Who is awaited to the end is a one-shot; whose health is awaited has a check."""
    resolved = model(
        {
            "web": {"depends_on": {"init": {"condition": "service_completed_successfully"}, "gone": {}}},
            "init": {"depends_on": {"db": {"condition": "service_healthy"}}, "image": "app:2", "links": ["db"]},
            "db": {},
        }
    )
    done = render(resolved).services
    assert [name for name, facts in done.items() if facts.one_shot] == ["init"]
    assert [name for name, facts in done.items() if facts.has_health] == ["db"]
    assert done["init"].image == "app:2"
    assert done["init"].image_id == IMAGES["app:2"]
    assert done["init"].beside == ("db",)


def test_nothing_secret_shows() -> None:
    """A repr gets into tracebacks."""
    done = render(model({"web": {"environment": {"A": "canary"}}}), env={"B": "canary"})
    assert "canary" not in repr(done) + repr(PLACE) + repr(done.files)
    assert str(KEY) not in repr(PLACE)
