"""What a person's docker commands change on containers that run on: seen by name, put back, nothing made anew."""

from __future__ import annotations

import os
import subprocess
import threading
import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.adapters.engine.engine import DockerEngine
from reconciler.adapters.engine.errors import EngineError
from reconciler.adapters.transport.local import LocalTransport
from reconciler.core.live import baseline_of, live_drift, step_back, updatable
from reconciler.core.trace import explained, last_change
from reconciler.model.drift import Drift, Vector
from reconciler.model.errors import CannotUpdate
from reconciler.model.observed import ContainerFacts
from reconciler.model.plan import Connect, Disconnect, Update
from reconciler.model.stored import Attachment, Live
from tests.integration.lab import FOREVER, Lab
from tests.world import unfenced

pytestmark = pytest.mark.engine

MIB = 2**20
SWAP = {"Memory": 64 * MIB, "MemorySwap": 128 * MIB}
QUOTA = {"CpuPeriod": 50_000, "CpuQuota": 25_000}


def docker(*arguments: str) -> str:
    """What a person types."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def here() -> Iterator[DockerEngine]:
    """The engine by the shorter way, for tables."""
    made = unfenced.engine(LocalTransport())
    yield made
    made.close()


@pytest.fixture
def networks(lab: Lab) -> Iterator[tuple[str, str]]:
    """Two networks of this test; the containers go first."""
    names = (f"{lab.project}-front", f"{lab.project}-back")
    for name in names:
        docker("network", "create", name)
    yield names
    lab.clean_up()
    for name in names:
        subprocess.run(["docker", "network", "rm", name], capture_output=True, timeout=60, check=False)


def facts(engine: DockerEngine, lab: Lab, container: str) -> ContainerFacts:
    """What we see of a container, its layer included."""
    seen = engine.survey(lab.project, layers=True, kept=frozenset())
    found = next(each for each in seen.containers if each.id == container)
    assert found.live is not None
    assert found.live.layer is not None
    return found


def kept(engine: DockerEngine, lab: Lab, container: str) -> Live:
    """The baseline, as it comes back from the state file."""
    baseline = baseline_of(facts(engine, lab, container))
    assert baseline is not None
    return Live.model_validate_json(baseline.model_dump_json())


def drift(engine: DockerEngine, lab: Lab, container: str, baseline: Live) -> tuple[Drift, ...]:
    return live_drift(facts(engine, lab, container), baseline)


def told(found: tuple[Drift, ...]) -> list[tuple[Vector, str, str]]:
    return [(each.vector, each.expected, each.found) for each in found]


def put_back(engine: DockerEngine, lab: Lab, container: str, baseline: Live) -> list[str]:
    """Carries out the steps against all drift, detaching first as the plan does; the kinds of the steps."""
    seen = facts(engine, lab, container)
    steps = [step_back(each, seen, baseline) for each in live_drift(seen, baseline)]
    for step in sorted(steps, key=lambda each: not isinstance(each, Disconnect)):
        match step:
            case Update():
                engine.update(step.container_id, step.limits)
            case Connect():
                engine.connect(step.container_id, step.network, step.attachment)
            case Disconnect():
                engine.disconnect(step.container_id, step.network)
            case _:
                raise AssertionError(f"no step for the drift of {container}")
    return [type(step).__name__ for step in steps]


def lives(lab: Lab, container: str) -> tuple[Any, ...]:
    """What a container that was made anew or restarted hasn't any more."""
    details = lab.details(container)
    return details["Id"], details["State"]["StartedAt"], details["State"]["Pid"], details["RestartCount"]


def limits(lab: Lab, container: str) -> dict[str, Any]:
    """Everything of the kind that an update can change, as the engine tells it and as the kernel enforces it."""
    host = lab.details(container)["HostConfig"]
    untyped: Any = lab.client
    stats = untyped.stats(container, stream=False, one_shot=True)
    names = ("Memory", "MemorySwap", "MemoryReservation", "NanoCpus", "CpuShares", "CpusetCpus", "RestartPolicy")
    quota = host["CpuQuota"] if host["CpuQuota"] > 0 else 0
    period = host["CpuPeriod"] if host["CpuPeriod"] != 100_000 else 0
    enforced = {"memory": stats["memory_stats"]["limit"], "pids": stats["pids_stats"].get("limit", 0)}
    return {**{name: host[name] for name in names}, "quota": quota, "period": period, **enforced}


class TestLimits:
    @pytest.mark.parametrize(
        ("made_with", "by_hand", "expected", "found"),
        [
            pytest.param(
                SWAP,
                ["--memory=128m", "--memory-swap=256m"],
                "Memory 64 MiB, MemorySwap 128 MiB",
                "Memory 128 MiB, MemorySwap 256 MiB",
                id="memory raised",
            ),
            pytest.param(
                SWAP,
                ["--memory=32m", "--memory-swap=32m"],
                "Memory 64 MiB, MemorySwap 128 MiB",
                "Memory 32 MiB, MemorySwap 32 MiB",
                id="memory lowered",
            ),
            pytest.param(SWAP, ["--memory-swap=-1"], "MemorySwap 128 MiB", "MemorySwap unlimited", id="swap let loose"),
            pytest.param(
                {"Memory": 64 * MIB, "MemorySwap": -1},
                ["--memory-swap=64m"],
                "MemorySwap unlimited",
                "MemorySwap 64 MiB",
                id="swap taken",
            ),
            pytest.param(
                {"Memory": 64 * MIB, "MemoryReservation": 32 * MIB},
                ["--memory-reservation=16m"],
                "MemoryReservation 32 MiB",
                "MemoryReservation 16 MiB",
                id="reservation",
            ),
            pytest.param(
                {"NanoCpus": 500_000_000}, ["--cpus=0.75"], "NanoCpus 0.5 CPUs", "NanoCpus 0.75 CPUs", id="cpus"
            ),
            pytest.param(QUOTA, ["--cpu-quota=40000"], "CpuQuota 25000", "CpuQuota 40000", id="quota"),
            pytest.param(QUOTA, ["--cpu-quota=-1"], "CpuQuota 25000", "no CpuQuota", id="quota taken away"),
            pytest.param(
                {},
                ["--cpu-period=50000", "--cpu-quota=25000"],
                "no CpuPeriod, no CpuQuota",
                "CpuPeriod 50000, CpuQuota 25000",
                id="quota added",
            ),
            pytest.param({"CpuShares": 512}, ["--cpu-shares=2048"], "CpuShares 512", "CpuShares 2048", id="shares"),
            pytest.param({}, ["--pids-limit=50"], "no PidsLimit", "PidsLimit 50", id="processes limited"),
            pytest.param(
                {"PidsLimit": 100}, ["--pids-limit=-1"], "PidsLimit 100", "no PidsLimit", id="processes freed"
            ),
            pytest.param({}, ["--restart=always"], "RestartPolicy no", "RestartPolicy always", id="restart added"),
            pytest.param(
                {"RestartPolicy": {"Name": "unless-stopped"}},
                ["--restart=no"],
                "RestartPolicy unless-stopped",
                "RestartPolicy no",
                id="restart taken away",
            ),
            pytest.param(
                {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3}},
                ["--restart=on-failure:5"],
                "RestartPolicy on-failure at most 3 times",
                "RestartPolicy on-failure at most 5 times",
                id="retries",
            ),
        ],
    )
    def test_a_limit_changed_by_hand_is_named_and_put_back_while_it_runs(
        self, lab: Lab, here: DockerEngine, made_with: dict[str, Any], by_hand: list[str], expected: str, found: str
    ) -> None:
        web = lab.run("web", HostConfig=made_with)
        life, before, baseline = lives(lab, web), limits(lab, web), kept(here, lab, web)
        assert drift(here, lab, web, baseline) == ()

        docker("update", *by_hand, web)
        assert limits(lab, web) != before
        assert told(drift(here, lab, web, baseline)) == [(Vector.LIMITS, expected, found)]

        assert put_back(here, lab, web, baseline) == ["Update"]
        assert limits(lab, web) == before
        assert lives(lab, web) == life
        assert drift(here, lab, web, baseline) == ()

    @pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="a set of processors needs two")
    def test_a_set_of_processors(self, lab: Lab, here: DockerEngine) -> None:
        web = lab.run("web", HostConfig={"CpusetCpus": "0"})
        baseline = kept(here, lab, web)
        docker("update", "--cpuset-cpus=0-1", web)
        assert told(drift(here, lab, web, baseline)) == [(Vector.LIMITS, "CpusetCpus 0", "CpusetCpus 0-1")]
        put_back(here, lab, web, baseline)
        assert lab.details(web)["HostConfig"]["CpusetCpus"] == "0"

    @pytest.mark.parametrize(
        ("by_hand", "named"),
        [
            (["--memory=64m", "--memory-swap=64m"], "Memory and no MemorySwap"),
            (["--memory-reservation=32m"], "MemoryReservation"),
            (["--cpus=0.5"], "NanoCpus"),
            (["--cpu-shares=512"], "CpuShares"),
            (["--cpuset-cpus=0"], "CpusetCpus"),
        ],
    )
    def test_a_limit_that_no_update_takes_away_is_known_before_and_refused_untouched(
        self, lab: Lab, here: DockerEngine, by_hand: list[str], named: str
    ) -> None:
        web = lab.run("web")
        baseline = kept(here, lab, web)
        docker("update", *by_hand, web)
        after = limits(lab, web)
        seen = facts(here, lab, web)
        (found,) = live_drift(seen, baseline)
        assert seen.live is not None
        assert not updatable(baseline, seen.live)
        assert step_back(found, seen, baseline) is None
        with pytest.raises(CannotUpdate, match=f"takes no {named} away.*has to be made anew"):
            here.update(web, baseline.limits)
        assert limits(lab, web) == after

    def test_several_at_once_and_on_every_transport(self, lab: Lab, engine: DockerEngine) -> None:
        web = lab.run("web", HostConfig={**SWAP, **QUOTA, "RestartPolicy": {"Name": "always"}})
        life, before, baseline = lives(lab, web), limits(lab, web), kept(engine, lab, web)
        docker("update", "--memory=100m", "--memory-swap=-1", "--cpu-quota=-1", "--pids-limit=9", "--restart=no", web)
        (found,) = drift(engine, lab, web, baseline)
        assert found.object == lab.details(web)["Name"].removeprefix("/")
        assert found.expected.count(",") == 4
        put_back(engine, lab, web, baseline)
        assert limits(lab, web) == before
        assert lives(lab, web) == life

    def test_a_stopped_container_stays_stopped(self, lab: Lab, here: DockerEngine) -> None:
        web = lab.run("web", "exit 0", HostConfig=SWAP)
        lab.ended(web)
        baseline = kept(here, lab, web)
        docker("update", "--memory=32m", web)
        assert put_back(here, lab, web, baseline) == ["Update"]
        assert lab.details(web)["HostConfig"]["Memory"] == 64 * MIB
        assert lab.details(web)["State"]["Status"] == "exited"

    def test_what_the_engine_refuses_or_only_pretends_is_said(self, lab: Lab, here: DockerEngine) -> None:
        web = lab.run("web", HostConfig=SWAP)
        with pytest.raises(CannotUpdate, match="refuses its limits: Minimum memory limit"):
            here.update(web, {**kept(here, lab, web).limits, "Memory": 1})
        # A kernel without weights for block devices: the engine says 200, warns, and sets nothing.
        try:
            here.update(web, {**kept(here, lab, web).limits, "BlkioWeight": 300})
        except CannotUpdate as refused:
            assert "did not set BlkioWeight" in str(refused)  # noqa: PT017 - it depends on the kernel
            assert lab.details(web)["HostConfig"]["BlkioWeight"] == 0
        else:
            assert lab.details(web)["HostConfig"]["BlkioWeight"] == 300

    def test_a_container_that_is_gone_is_another_error(self, here: DockerEngine) -> None:
        with pytest.raises(EngineError) as gone:
            here.update("0" * 64, {"Memory": 64 * MIB})
        assert gone.value.status == 404


class TestNetworks:
    def attached(self, lab: Lab, container: str) -> dict[str, tuple[list[str], Any]]:
        """Networks of a container with its names there and the address that was asked for, as the engine tells them."""
        details = lab.details(container)
        return {
            name: (sorted(set(there["Aliases"] or []) - {details["Id"][:12]}), there["IPAMConfig"] or {})
            for name, there in details["NetworkSettings"]["Networks"].items()
        }

    def service(self, lab: Lab, network: str, *aliases: str, **config: Any) -> str:
        endpoint = {network: {"Aliases": list(aliases), **config.pop("endpoint", {})}}
        host = {"NetworkMode": network, **config.pop("HostConfig", {})}
        return lab.run("web", HostConfig=host, NetworkingConfig={"EndpointsConfig": endpoint}, **config)

    def test_an_attachment_by_hand_is_named_and_undone(
        self, lab: Lab, engine: DockerEngine, networks: tuple[str, str]
    ) -> None:
        front, back = networks
        web = self.service(lab, front, "web")
        life, before, baseline = lives(lab, web), self.attached(lab, web), kept(engine, lab, web)
        docker("network", "connect", back, web)
        assert told(drift(engine, lab, web, baseline)) == [(Vector.ATTACHMENT, f"not attached to {back}", "attached")]
        assert put_back(engine, lab, web, baseline) == ["Disconnect"]
        assert self.attached(lab, web) == before
        assert lives(lab, web) == life
        engine.disconnect(web, back)  # again is fine
        assert drift(engine, lab, web, baseline) == ()

    def test_a_detached_one_comes_back_with_its_names_and_its_port(
        self, lab: Lab, engine: DockerEngine, networks: tuple[str, str]
    ) -> None:
        front, _ = networks
        ports = {"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}}
        web = self.service(lab, front, "web", "api", HostConfig=ports, ExposedPorts={"80/tcp": {}})
        life, before, baseline = lives(lab, web), self.attached(lab, web), kept(engine, lab, web)
        docker("network", "disconnect", front, web)
        assert told(drift(engine, lab, web, baseline)) == [(Vector.NETWORK, f"attached to {front}", "not attached")]
        assert put_back(engine, lab, web, baseline) == ["Connect"]
        assert self.attached(lab, web) == before
        assert before[front][0] == ["api", "web"]
        assert lab.details(web)["NetworkSettings"]["Ports"]["80/tcp"]
        assert lives(lab, web) == life
        endpoint = lab.details(web)["NetworkSettings"]["Networks"][front]["EndpointID"]
        engine.connect(web, front, baseline.networks[front])  # again changes nothing
        assert lab.details(web)["NetworkSettings"]["Networks"][front]["EndpointID"] == endpoint

    def test_a_fixed_address_comes_back(self, lab: Lab, here: DockerEngine) -> None:
        network = f"{lab.project}-fixed"
        octet = int(uuid.uuid4().hex[:2], 16)
        docker("network", "create", f"--subnet=10.213.{octet}.0/24", network)
        try:
            web = self.service(lab, network, "web", endpoint={"IPAMConfig": {"IPv4Address": f"10.213.{octet}.77"}})
            baseline = kept(here, lab, web)
            assert baseline.networks[network].ipv4 == f"10.213.{octet}.77"
            docker("network", "disconnect", network, web)
            docker("network", "connect", "--ip", f"10.213.{octet}.78", "--alias", "web", network, web)
            assert told(drift(here, lab, web, baseline)) == [
                (
                    Vector.NETWORK,
                    f"aliases web, address 10.213.{octet}.77",
                    f"aliases web, address 10.213.{octet}.78",
                )
            ]
            put_back(here, lab, web, baseline)
            found = lab.details(web)["NetworkSettings"]["Networks"][network]
            assert (found["IPAddress"], found["Aliases"]) == (f"10.213.{octet}.77", ["web"])
        finally:
            lab.clean_up()
            docker("network", "rm", network)

    def test_one_that_came_back_under_no_name_is_named_and_put_back(
        self, lab: Lab, here: DockerEngine, networks: tuple[str, str]
    ) -> None:
        """What a person does who wants to repair it: the service's name is lost then, and nothing finds it."""
        front, _ = networks
        web = self.service(lab, front, "web")
        before, baseline = self.attached(lab, web), kept(here, lab, web)
        docker("network", "disconnect", front, web)
        docker("network", "connect", front, web)
        assert told(drift(here, lab, web, baseline)) == [(Vector.NETWORK, "aliases web", "no alias")]
        put_back(here, lab, web, baseline)
        assert self.attached(lab, web) == before

    def test_a_network_that_is_gone_is_said_clearly(
        self, lab: Lab, here: DockerEngine, networks: tuple[str, str]
    ) -> None:
        front, _ = networks
        web = self.service(lab, front, "web")
        baseline = kept(here, lab, web)
        docker("network", "disconnect", front, web)
        docker("network", "rm", front)
        with pytest.raises(CannotUpdate, match=f"the network {front} is gone; it has to be made anew"):
            put_back(here, lab, web, baseline)
        with pytest.raises(EngineError):
            here.connect("0" * 64, front, Attachment())
        here.disconnect(web, front)  # not attached: what was asked for

    def test_a_stopped_container_can_be_put_back(self, lab: Lab, here: DockerEngine, networks: tuple[str, str]) -> None:
        front, back = networks
        web = self.service(lab, front, "web")
        docker("stop", "-t", "5", web)
        before, baseline = self.attached(lab, web), kept(here, lab, web)
        docker("network", "disconnect", front, web)
        docker("network", "connect", back, web)
        assert [each.vector for each in drift(here, lab, web, baseline)] == [Vector.ATTACHMENT, Vector.NETWORK]
        put_back(here, lab, web, baseline)
        assert self.attached(lab, web) == before

    def test_whatever_the_network_mode(self, lab: Lab, here: DockerEngine, networks: tuple[str, str]) -> None:
        front, _ = networks
        other = self.service(lab, front, "web")
        modes = {"host": ["host"], "none": ["none"], f"container:{other}": []}
        for mode, names in modes.items():
            one = lab.run("one", HostConfig={"NetworkMode": mode})
            baseline = kept(here, lab, one)
            assert list(baseline.networks) == names
            assert drift(here, lab, one, baseline) == ()

    def test_one_without_a_network_is_cut_off_again(
        self, lab: Lab, here: DockerEngine, networks: tuple[str, str]
    ) -> None:
        front, _ = networks
        alone = lab.run("alone", HostConfig={"NetworkMode": "none"})
        life, baseline = lives(lab, alone), kept(here, lab, alone)
        docker("network", "disconnect", "none", alone)
        docker("network", "connect", front, alone)
        assert put_back(here, lab, alone, baseline) == ["Disconnect", "Connect"]
        assert list(self.attached(lab, alone)) == ["none"]
        assert lives(lab, alone) == life

    def test_what_the_engine_refuses_is_said(self, lab: Lab, here: DockerEngine, networks: tuple[str, str]) -> None:
        front, _ = networks
        one = lab.run("one", HostConfig={"NetworkMode": "host"})
        with pytest.raises(CannotUpdate, match=r"it can't be detached from host: .*cannot be disconnected"):
            here.disconnect(one, "host")
        with pytest.raises(CannotUpdate, match=f"it can't be attached to {front}: "):
            here.connect(one, front, Attachment())


class TestLayers:
    WRITES = "echo 1 >/run/app.pid; mkdir -p /opt/new; echo x >/opt/new/f; rm /etc/group; echo up; " + FOREVER

    def busy(self, lab: Lab, tmp_path: Path, script: str = WRITES, **config: Any) -> str:
        """A service that writes in its layer by itself, with every kind of mount."""
        (tmp_path / "file").touch()
        host = {
            "Binds": [f"{tmp_path}:/data/deep/x", f"{tmp_path}/file:/etc/app.conf:ro"],
            "Tmpfs": {"/scratch": ""},
            "Mounts": [{"Type": "volume", "Target": "/vol/"}, {"Type": "tmpfs", "Target": "/tm/p"}],
            "Init": True,
        }
        image = lab.another_image(
            files={"run/keep": b"", "etc/motd": b"hello", "etc/passwd": b"", "etc/group": b"", "sbin/x": b""}
        )
        web = lab.run("web", script, Image=image, HostConfig=host, **config)
        printed(lab, web, b"up")
        return web

    def test_what_a_person_writes_is_named_and_what_the_program_writes_is_the_baseline(
        self, lab: Lab, engine: DockerEngine, tmp_path: Path
    ) -> None:
        web = self.busy(lab, tmp_path)
        baseline = kept(engine, lab, web)
        assert baseline.layer == ("/etc/group", "/opt", "/opt/new", "/opt/new/f", "/run/app.pid")
        docker("exec", web, "/bin/sh", "-c", "echo 2 >/run/app.pid; echo x >/data/deep/x/y; echo z >/scratch/z")
        assert drift(engine, lab, web, baseline) == ()
        docker("exec", web, "/bin/sh", "-c", "echo owned >/etc/motd")
        assert told(drift(engine, lab, web, baseline)) == [(Vector.LAYER, "the files of the baseline", "/etc/motd")]
        (tmp_path / "tool").write_text("x")
        docker("cp", str(tmp_path / "tool"), f"{web}:/etc/zz")
        docker("stop", "-t", "1", web)
        (found,) = drift(engine, lab, web, baseline)
        assert found.found == "/etc/motd and 1 more"
        assert step_back(found, facts(engine, lab, web), baseline) is None

    def test_what_was_deleted_counts_and_what_is_gone_of_the_baseline_does_not(
        self, lab: Lab, here: DockerEngine, tmp_path: Path
    ) -> None:
        web = self.busy(lab, tmp_path)
        baseline = kept(here, lab, web)
        docker("exec", web, "/bin/busybox", "rm", "/opt/new/f")
        assert drift(here, lab, web, baseline) == ()
        docker("exec", web, "/bin/busybox", "rm", "/etc/passwd")
        assert drift(here, lab, web, baseline)[0].found == "/etc/passwd"

    def test_one_that_never_ran_has_written_nothing_and_nothing_is_asked_where_nothing_is(
        self, lab: Lab, engine: DockerEngine
    ) -> None:
        assert engine.survey(lab.project, layers=True, kept=frozenset()).containers == ()
        created = lab.run("web", start=False)
        assert kept(engine, lab, created).layer == ()

    def test_thousands_of_paths_are_kept_as_some_and_a_digest(self, lab: Lab, here: DockerEngine) -> None:
        write = "i=0; while [ $i -lt 3000 ]; do : >/f$i; i=$((i + 1)); done; echo up; "
        web = lab.run("web", write + FOREVER)
        printed(lab, web, b"up")
        baseline = kept(here, lab, web)
        assert len(baseline.layer or ()) == 2001
        assert drift(here, lab, web, baseline) == ()
        docker("exec", web, "/bin/sh", "-c", ": >/zz")
        (found,) = drift(here, lab, web, baseline)
        assert found.found == "others among the last 1001"
        docker("exec", web, "/bin/sh", "-c", ": >/aa")
        assert drift(here, lab, web, baseline)[0].found == "/aa"


class TestChanges:
    def test_facts_of_the_end(self, lab: Lab, here: DockerEngine) -> None:
        one = lab.run("one", "exit 0")
        lab.ended(one)
        ended = facts(here, lab, one).finished_at
        assert ended is not None
        assert abs(ended - here.now()) < timedelta(minutes=1)

    def changed(
        self, engine: DockerEngine, container: str, since: datetime, vector: Vector, network: str = ""
    ) -> str | None:
        change = last_change(engine.changes(since), container, vector, network=network)
        if change is not None:
            assert since <= change.at <= engine.now()
        return change.action if change else None

    @pytest.mark.parametrize(
        ("command", "action"),
        [
            (["stop", "-t", "1"], "stop"),
            (["kill"], "kill"),
            (["pause"], "pause"),
            (["restart", "-t", "1"], "restart"),
            (["rm", "-f"], "destroy"),
        ],
    )
    def test_what_a_person_did(self, lab: Lab, here: DockerEngine, command: Sequence[str], action: str) -> None:
        web, beside = lab.run("web"), lab.run("beside")
        since = here.now()
        docker(*command, web)
        assert self.changed(here, web, since, Vector.CONTAINER) == action
        assert self.changed(here, beside, since, Vector.CONTAINER) is None
        assert self.changed(here, web, here.now(), Vector.CONTAINER) is None
        assert here.changes(here.now() + timedelta(hours=1)) == ()

    def test_a_program_that_ended_by_itself(self, lab: Lab, engine: DockerEngine) -> None:
        since = engine.now()
        web = lab.run("web", "exit 3")
        lab.ended(web)
        assert self.changed(engine, web, since, Vector.CONTAINER) == "die"

    def test_limits_networks_and_files(
        self, lab: Lab, here: DockerEngine, networks: tuple[str, str], tmp_path: Path
    ) -> None:
        front, back = networks
        web = lab.run("web", HostConfig={"NetworkMode": front})
        since = here.now()
        docker("update", "--pids-limit=50", web)
        docker("network", "connect", back, web)
        docker("network", "disconnect", front, web)
        (tmp_path / "x").touch()
        docker("cp", str(tmp_path / "x"), f"{web}:/x")
        assert self.changed(here, web, since, Vector.LIMITS) == "update"
        assert self.changed(here, web, since, Vector.ATTACHMENT, back) == "connect"
        assert self.changed(here, web, since, Vector.NETWORK, front) == "disconnect"
        assert self.changed(here, web, since, Vector.LAYER) == "extract-to-dir"
        assert self.changed(here, web, since, Vector.FILE) is None

    def test_when_the_events_are_forgotten_the_end_is_still_known(self, lab: Lab, here: DockerEngine) -> None:
        web, other = lab.run("web"), lab.run("other")
        since = here.now()
        docker("stop", "-t", "1", web)
        for _ in range(300):  # as health probes do, which make three events each
            lab.client.exec_create(other, ["/bin/true"])
        assert self.changed(here, web, since, Vector.CONTAINER) is None
        seen = facts(here, lab, web)
        found = explained(Drift(Vector.CONTAINER, seen.name, "running", "exited"), seen, None, ())
        assert found.at is not None
        assert abs(found.at - since) < timedelta(seconds=20)


def printed(lab: Lab, container: str, word: bytes) -> None:
    """Returns when the container has printed it."""
    stream = lab.client.logs(container, stream=True, follow=True)
    late = threading.Timer(30, lambda: lab.client.kill(container))
    late.start()
    try:
        seen = b""
        for chunk in stream:
            seen += chunk
            if word in seen:
                return
        raise AssertionError(f"it ended and printed {seen!r}")
    finally:
        late.cancel()
