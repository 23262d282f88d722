"""What an engine that lost its power is left with: a port that it holds for nobody until it is restarted
(moby/libnetwork#1790), and a container that is half removed."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from docker.models.containers import Container

from ops.demo.images import Fault
from tests.e2e.job import await_true
from tests.faults.app import App
from tests.faults.cases import LOCKED, WATCHDOG_SECONDS
from tests.faults.lab import PASS_SECONDS, new_lab
from tests.faults.passes import Ended
from tests.faults.scenarios import fresh
from tests.world.images import Images

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]
MOMENTS = (0.03, 0.05, 0.02, 0.1, 0.04, 0.07)
"""Seconds from when the port listens: the engine has noted the endpoint then, and not yet whose it is."""


def test_nobody_is_blamed_for_a_port_that_the_engine_holds_for_nobody(tmp_path: Path, images: Images) -> None:
    with new_lab(tmp_path / "lab", images, images.bad(Fault.CRASH)) as lab:
        app = fresh(lab, "local")
        tag = _orphaned(app)
        ended = _not_locked(app)
        assert ended.code == 7, ended
        assert f"127.0.0.1:{app.project.port} for a container that is gone" in ended.result["message"]
        assert "`systemctl restart docker`" in ended.result["message"]
        alone = [text for path in app.repo.records() if "watchdog" in (text := path.read_text())]
        assert any("is restarted" in text for text in alone), "the target's own journal says why it couldn't go back"
        assert app.state()["quarantine"] == {}
        lab.server.restart()
        assert _not_locked(app).code == 0
        assert lab.server.request(app.project.url("/version")) == (200, f"{tag}\n")
        assert app.state()["quarantine"] == {}
        assert not app.hurt_data()
        app.remove()


@pytest.mark.parametrize("its_successor", ["", "was made"])
def test_a_container_whose_removal_was_cut_short_is_removed(tmp_path: Path, images: Images, its_successor: str) -> None:
    """A power cut while Compose replaces a container leaves it dead: its layer is gone, and its name is taken. The one
    that comes after it was made under another name before."""
    with new_lab(tmp_path / "lab", images, images.bad(Fault.CRASH)) as lab:
        app = fresh(lab, "local")
        web = app.service("web")
        web.stop(timeout=1)
        if its_successor:
            _made_again(app, web)
        lab.server.kill()
        data = lab.server.root / "docker"
        config = data / "containers" / str(web.id) / "config.v2.json"
        about = json.loads(config.read_text())
        about["State"]["Dead"] = True
        config.write_text(json.dumps(about))
        layer = Path(web.attrs["GraphDriver"]["Data"]["UpperDir"]).parent
        shutil.rmtree(data / layer.relative_to("/var/lib/docker"))
        lab.server.start()
        assert lab.server.docker("inspect", "--format", "{{.State.Status}}", str(web.id)).stdout == "dead\n"
        assert app.lab.plain_pass(app.repo.path, "local", "plan").code == 2
        ended = app.lab.plain_pass(app.repo.path, "local", "--once")
        assert ended.code == 0, ended
        assert lab.server.request(app.project.url("/version")) == (200, f"{app.tag}\n")
        assert app.lab.plain_pass(app.repo.path, "local", "plan").code == 0
        assert app.project.containers().keys() == {"web", "migrate"}
        app.remove()


def _made_again(app: App, container: Container) -> None:
    """Its successor, as Compose makes it: of the same definition, under a name of its own until the old one is gone."""
    details = container.attrs
    networks = {
        name: {"Aliases": attached["Aliases"]} for name, attached in details["NetworkSettings"]["Networks"].items()
    }
    body = {
        **details["Config"],
        "HostConfig": details["HostConfig"],
        "NetworkingConfig": {"EndpointsConfig": networks},
    }
    with app.project._engine() as engine:
        untyped: Any = engine.api
        untyped.create_container_from_config(body, name=f"{str(container.id)[:12]}_{container.name}")


def _orphaned(app: App) -> str:
    """Deploys, each ended by a power cut while the new container starts, until one left its port to nobody: its tag."""
    for number, seconds in enumerate(MOMENTS):
        app.want(app.lab.tag[1 - number % 2])
        app.repo.edit({"rollback.watchdog": f"{WATCHDOG_SECONDS}s"})
        running = app.lab.pass_of(app.repo.path, "local", ["--once"], ["--plain"])
        for wanted in (False, True):
            while _listens(app) is not wanted:
                assert running.process.poll() is None, "the pass ended before its container was replaced"
                time.sleep(0.001)  # the kernel tells nobody who listens
        time.sleep(seconds)
        app.lab.server.power_off()
        running.end(seconds=PASS_SECONDS)
        app.lab.server.power_on()
        app.lab.server.start()
        app.lab.connect()
        outcome = app.dir / ".reconciler" / "watchdog" / "outcome"
        await_true("the target has gone back alone, or failed to", outcome.is_dir, seconds=60)
        if app.port_is_nobodys():
            return app.tag
        assert _not_locked(app).code == 0
    raise AssertionError("no power cut came at the moment in which the engine forgets whose the port is")


def _listens(app: App) -> bool:
    """Whether anything listens on the app's port on the server."""
    table = Path(f"/proc/{app.lab.server.init_pid}/net/tcp").read_text()
    return f"0100007F:{app.project.port:04X} 00000000:0000 0A" in table


def _not_locked(app: App) -> Ended:
    """A pass, after the target's own watchdog has done what it does."""
    while True:
        ended = app.lab.plain_pass(app.repo.path, "local", "--once")
        if ended.code != LOCKED:
            return ended
