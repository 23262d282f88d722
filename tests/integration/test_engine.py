"""The engine's port on a real engine, locally and through sshd: judged by the docker library itself."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import docker
import pytest

from reconciler.adapters.engine.engine import DockerEngine
from reconciler.adapters.engine.errors import EngineError
from reconciler.adapters.engine.logs import demultiplexed
from reconciler.adapters.transport.ssh import SshTransport
from reconciler.adapters.transport.ssh_settings import SshSettings
from reconciler.model.errors import PreflightFailed, TargetUnfit, TargetUnreachable
from reconciler.model.observed import LABEL_APP, LABEL_DIGEST
from reconciler.ports import Credentials, Transport
from tests.integration.lab import FOREVER, Lab, new_lab
from tests.world import unfenced
from tests.world.network import free_port
from tests.world.registry import Login, registry
from tests.world.sshd import SshServer, ssh_server

pytestmark = pytest.mark.engine

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
HEALTH = {"Interval": 200_000_000, "Timeout": 2_000_000_000, "Retries": 1}
NOWHERE = "unix:///nowhere/docker.sock"


class TestContainers:
    def test_the_facts_of_every_state(self, lab: Lab, engine: DockerEngine) -> None:
        up = lab.run("up", Labels={LABEL_DIGEST: "abc"})
        paused = lab.run("paused")
        lab.client.pause(paused)
        ended = lab.run("ended", "exit 3")
        created = lab.run("created", start=False)
        loops = lab.run("loops", "exit 4", HostConfig={"RestartPolicy": {"Name": "always"}})
        one_off = lab.run("up", Labels={"com.docker.compose.oneoff": "True"})
        lab.ended(ended)
        lab.until(loops, lambda it: it["State"]["Status"] == "restarting" and it["RestartCount"] >= 3)

        found = {c.id: c for c in engine.containers(lab.project, details=True)}
        assert set(found) == {up, paused, ended, created, loops, one_off}
        assert found[up].state == "running"
        assert found[up].runs
        assert found[up].digest == "abc"
        assert found[up].image_id == lab.image_id
        assert (found[up].exit_code, found[up].health, found[up].restarts) == (None, None, 0)
        assert found[paused].state == "paused"
        assert not found[paused].runs
        assert (found[ended].state, found[ended].exit_code) == ("exited", 3)
        assert (found[created].state, found[created].exit_code, found[created].started_at) == ("created", None, None)
        assert (found[loops].restarts or 0) >= 3
        assert found[loops].state in {"restarting", "running"}
        assert found[one_off].one_off
        assert not found[up].one_off
        started = found[up].started_at
        assert started is not None
        assert abs(started - engine.now()) < timedelta(minutes=1)

    def test_the_list_alone_knows_state_health_and_exit_code(self, lab: Lab, engine: DockerEngine) -> None:
        ended = lab.run("ended", "exit 3")
        well = lab.run("well", Healthcheck={**HEALTH, "Test": ["CMD", "/bin/true"]})
        ill = lab.run("ill", Healthcheck={**HEALTH, "Test": ["CMD-SHELL", "echo the disk is full; exit 1"]})
        starting = lab.run(
            "starting", Healthcheck={**HEALTH, "Interval": 3_600_000_000_000, "Test": ["CMD", "/bin/true"]}
        )
        lab.ended(ended)
        lab.until(well, lambda it: it["State"]["Health"]["Status"] == "healthy")
        lab.until(ill, lambda it: it["State"]["Health"]["Status"] == "unhealthy")
        for details in (False, True):
            found = {c.id: c for c in engine.containers(lab.project, details=details)}
            assert (found[ended].state, found[ended].exit_code) == ("exited", 3)
            assert found[well].health == "healthy"
            assert found[ill].health == "unhealthy"
            assert found[starting].health == "starting"
            assert found[ended].health is None
        assert engine.health_output(ill) == "the disk is full\n"
        assert engine.health_output(well) == ""

    def test_a_project_without_containers_is_empty_and_another_project_is_not_seen(
        self, lab: Lab, engine: DockerEngine
    ) -> None:
        lab.run("web", start=False)
        assert engine.containers(f"{lab.project}-other", details=True) == ()

    def test_containers_that_come_and_go_never_break_a_reading(self, lab: Lab, engine: DockerEngine) -> None:
        stays = lab.run("stays")
        stop = threading.Event()

        answers = 0

        def churn() -> None:
            while not stop.is_set():
                gone = lab.run("goes", start=False)
                lab.client.remove_container(gone)

        churning = threading.Thread(target=churn)
        churning.start()
        try:
            for _ in range(30):
                with suppress(TargetUnreachable):  # too much came and went: no answer is an answer, too
                    assert stays in {c.id for c in engine.containers(lab.project, details=True)}
                    answers += 1
        finally:
            stop.set()
            churning.join()
        assert answers

    def test_no_engine_is_unknown_and_never_an_empty_list(self, transport: Transport) -> None:
        engine = unfenced.engine(transport, NOWHERE)
        with pytest.raises(TargetUnreachable):
            engine.containers("any", details=False)
        with pytest.raises(TargetUnreachable):
            engine.image_id("any:1")
        with pytest.raises(TargetUnreachable):
            engine.events("any")
        with pytest.raises(TargetUnreachable):
            engine.keep("any", "any", frozenset())


class TestImages:
    def test_the_id_of_an_image_and_none_for_an_absent_one(self, lab: Lab, engine: DockerEngine) -> None:
        assert engine.image_id(lab.image) == lab.image_id
        assert engine.image_id(lab.image_id) == lab.image_id
        assert engine.image_id(f"{lab.project}:absent") is None

    def test_removing_an_image_leaves_one_that_is_in_use_and_forgives_one_that_is_gone(
        self, lab: Lab, engine: DockerEngine
    ) -> None:
        used, unused = lab.image_id, lab.another_image(files={"a": b"a"})
        lab.run("web", start=False)
        for image in (used, unused, unused):
            engine.remove_image(image)
        assert engine.image_id(used) == used
        assert engine.image_id(unused) is None


class TestPull:
    def test_a_pull_with_credentials_and_what_the_registry_says_without(
        self, lab: Lab, engine: DockerEngine, tmp_path: Path
    ) -> None:
        login = Login("carol", "s3cret-of-carol")
        with registry(tmp_path, login=login) as server:
            reference = server.push(lab.image, "1", name=lab.project)
            try:
                with pytest.raises(PreflightFailed, match=r"docker login 127\.0\.0\.1:"):
                    engine.pull(reference, None, _ignore, timeout=60)
                with pytest.raises(PreflightFailed, match=r"is the login right\?") as refused:
                    engine.pull(reference, Credentials("carol", lambda: "wrong-password"), _ignore, timeout=60)
                assert "wrong-password" not in str(refused.value)
                lines: list[str] = []
                known = Credentials(login.username, lambda: login.password)
                engine.pull(reference, known, lines.append, timeout=60)
                assert engine.image_id(reference) == lab.image_id
                assert any("Pulling from" in line for line in lines)
                with pytest.raises(PreflightFailed, match=r"is the tag pushed\?"):
                    engine.pull(
                        f"{reference}-wrong", Credentials(login.username, lambda: login.password), _ignore, timeout=60
                    )
            finally:
                _remove(lab, reference)

    def test_a_pull_without_credentials_runs_on_the_target(
        self, lab: Lab, engine: DockerEngine, tmp_path: Path
    ) -> None:
        with registry(tmp_path) as server:
            reference = server.push(lab.image, "1", name=lab.project)
            try:
                lines: list[str] = []
                engine.pull(reference, None, lines.append, timeout=60)
                assert engine.image_id(reference) == lab.image_id
                assert any("Pulling from" in line for line in lines)
                with pytest.raises(PreflightFailed, match=r"wrong.*manifest unknown.*is the tag pushed\?"):
                    engine.pull(f"{server.repository(lab.project)}:wrong", None, _ignore, timeout=60)
            finally:
                _remove(lab, reference)
            server.stop()
            for credentials in (None, Credentials("any", lambda: "any")):
                with pytest.raises(PreflightFailed, match=r"is the registry up, and can the target reach it\?"):
                    engine.pull(reference, credentials, _ignore, timeout=60)


class TestLogs:
    @pytest.mark.parametrize("tty", [False, True])
    def test_both_streams_since_a_time_and_only_the_last_bytes(self, lab: Lab, engine: DockerEngine, tty: bool) -> None:
        web = lab.run("web", "echo first; echo second >&2; exit 0", Tty=tty)
        lab.ended(web)
        output = engine.logs(web, since=LONG_AGO, limit=10_000).replace(b"\r", b"")
        assert sorted(output.splitlines()) == [b"first", b"second"]
        assert engine.logs(web, since=LONG_AGO, limit=3) == output[-3:] or tty
        assert engine.logs(web, since=engine.now() + timedelta(seconds=1), limit=100) == b""

    def test_a_stamp_is_the_engines_time_and_reading_on_from_it_begins_with_its_line(
        self, lab: Lab, engine: DockerEngine
    ) -> None:
        web = lab.run("web", "echo one; sleep 0.2; echo two")
        lab.ended(web)
        stamped = (engine.stamped_logs(web, since=LONG_AGO, limit=10_000) or b"").splitlines()
        when = datetime.fromisoformat(stamped[1].split()[0].decode())
        again = (engine.stamped_logs(web, since=when, limit=10_000) or b"").splitlines()
        assert [line.split()[1] for line in stamped] == [b"one", b"two"]
        assert [line.split()[1] for line in again] == [b"two"]

    def test_much_output_is_cut_to_its_end(self, lab: Lab, engine: DockerEngine) -> None:
        web = lab.run("web", "yes 0123456789abcde | head -n 60000; echo the-end")
        lab.ended(web)
        output = engine.logs(web, since=LONG_AGO, limit=100_000)
        assert len(output) == 100_000
        assert output.endswith(b"the-end\n")

    def test_no_readable_log_and_no_container_are_told_apart(self, lab: Lab, engine: DockerEngine) -> None:
        silent = lab.run("web", HostConfig={"LogConfig": {"Type": "none"}})
        assert engine.stamped_logs(silent, since=LONG_AGO, limit=100) is None
        assert engine.logs(silent, since=LONG_AGO, limit=100) == b""
        assert engine.stamped_logs("0" * 64, since=LONG_AGO, limit=100) == b""

    def test_frames_are_put_together_however_the_stream_is_cut(self) -> None:
        payloads = [b"one\n", b"", b"two" * 100, b"\n"]
        framed = b"".join(bytes([1 + n % 2, 0, 0, 0]) + len(p).to_bytes(4, "big") + p for n, p in enumerate(payloads))
        for size in (1, 2, 7, 8, 9, 100, len(framed)):
            chunks = [framed[at : at + size] for at in range(0, len(framed), size)]
            assert b"".join(demultiplexed(chunks)) == b"".join(payloads)


class TestUsage:
    def test_cpu_takes_two_readings_and_is_of_all_processors(self, lab: Lab, engine: DockerEngine) -> None:
        busy = lab.run("busy", "while :; do :; done", HostConfig={"Memory": 64 * 2**20})
        first = engine.usage(busy)
        assert first.cpu is None
        assert 0 < first.memory < 64 * 2**20
        assert first.memory_limit == 64 * 2**20
        time.sleep(1.0)  # what is measured is a stretch of time
        cpus = int(lab.client.info()["NCPU"])
        second = engine.usage(busy).cpu
        assert second is not None
        assert 20.0 / cpus < second <= 110.0 / cpus

    def test_the_limit_is_the_hosts_memory_where_there_is_none(self, lab: Lab, engine: DockerEngine) -> None:
        usage = engine.usage(lab.run("idle"))
        assert usage.memory_limit == pytest.approx(lab.client.info()["MemTotal"], rel=0.05)

    def test_a_container_that_ended_or_is_gone_uses_nothing(self, lab: Lab, engine: DockerEngine) -> None:
        ended = lab.run("ended", "exit 0")
        lab.ended(ended)
        for container in (ended, "0" * 64):
            assert engine.usage(container).memory == 0
            assert engine.usage(container).cpu is None


class TestEvents:
    def test_what_happens_after_it_was_made_is_seen_at_once_and_nothing_of_others(
        self, lab: Lab, engine: DockerEngine
    ) -> None:
        events = engine.events(lab.project)
        try:
            lab.run("web", Labels={"com.docker.compose.project": f"{lab.project}-other"})
            lab.run("web", Labels={"com.docker.compose.oneoff": "True"})
            web = lab.run("web")
            assert events.next(5.0) == web  # create
            assert events.next(5.0) == web  # start
            assert events.next(0.1) is None
        finally:
            events.close()
            for entry in lab.client.containers(
                all=True, filters={"label": f"com.docker.compose.project={lab.project}-other"}
            ):
                lab.client.remove_container(entry["Id"], force=True)

    def test_a_health_result_is_an_event_but_the_probes_themselves_are_not(
        self, lab: Lab, engine: DockerEngine
    ) -> None:
        events = engine.events(lab.project)
        web = lab.run("web", Healthcheck={**HEALTH, "Test": ["CMD", "/bin/true"]})
        seen = [events.next(5.0) for _ in range(3)]  # create, start, healthy
        assert seen == [web] * 3
        assert lab.details(web)["State"]["Health"]["Status"] == "healthy"
        assert events.next(1.0) is None
        events.close()

    def test_closing_ends_a_wait_without_an_error(self, lab: Lab, engine: DockerEngine) -> None:
        events = engine.events(lab.project)
        events.close()
        events.close()
        assert events.next(0.1) is None

    def test_a_lost_stream_is_unreachable_now_and_later(self, lab: Lab, sshd: SshServer, tmp_path: Path) -> None:
        (tmp_path / "empty").touch()
        with ssh_server(tmp_path) as server:
            transport = SshTransport(
                SshSettings(
                    host=server.host,
                    port=server.port,
                    user=server.user,
                    identity_file=server.identity_file,
                    known_hosts=server.known_hosts,
                    config_file=tmp_path / "empty",
                )
            )
            events = unfenced.engine(transport).events(lab.project)
            server.cut_connections()
            for _ in range(2):
                with pytest.raises(TargetUnreachable):
                    events.next(10.0)
            transport.close()


class TestChanges:
    def test_start_starts_what_stopped_and_unpauses_what_paused(self, lab: Lab, engine: DockerEngine) -> None:
        stopped, paused = lab.run("stopped", start=False), lab.run("paused")
        lab.client.pause(paused)
        for container in (stopped, paused, paused):
            engine.start(container)
            assert lab.details(container)["State"]["Status"] == "running"

    def test_a_start_that_the_engine_refuses_says_why(self, lab: Lab, engine: DockerEngine) -> None:
        broken = lab.run("broken", start=False, Cmd=["/no/such/program"])
        with pytest.raises(EngineError, match="/no/such/program"):
            engine.start(broken)

    def test_stop_leaves_the_container_and_uses_its_own_grace(self, lab: Lab, engine: DockerEngine) -> None:
        polite, deaf = lab.run("polite"), lab.run("deaf", "trap '' TERM; while :; do sleep 1; done", StopTimeout=1)
        for container in (polite, deaf):
            engine.stop(container)
            assert lab.details(container)["State"]["Status"] == "exited"
        assert lab.details(polite)["State"]["ExitCode"] == 0
        assert lab.details(deaf)["State"]["ExitCode"] == 137
        engine.stop("0" * 64)

    @pytest.mark.parametrize("state", ["running", "exited", "created", "paused", "restarting"])
    def test_remove_takes_a_container_of_any_state_and_never_a_volume(
        self, lab: Lab, engine: DockerEngine, state: str
    ) -> None:
        script = "exit 1" if state in {"exited", "restarting"} else FOREVER
        policy = {"RestartPolicy": {"Name": "always" if state == "restarting" else "no"}}
        web = lab.run("web", script, start=state != "created", Volumes={"/data": {}}, HostConfig=policy)
        if state == "paused":
            lab.client.pause(web)
        lab.until(web, lambda it: it["State"]["Status"] == state)
        volume = lab.details(web)["Mounts"][0]["Name"]
        try:
            engine.remove(web, stop_timeout=0.5)
            assert not lab.exists(web)
            assert lab.client.inspect_volume(volume)["Name"] == volume
            engine.remove(web, stop_timeout=0.5)
        finally:
            lab.client.remove_volume(volume)

    def test_two_that_remove_the_same_container_both_succeed(self, lab: Lab, engine: DockerEngine) -> None:
        web = lab.run("web", "trap '' TERM; while :; do sleep 1; done")
        with ThreadPoolExecutor(4) as pool:
            for done in [pool.submit(engine.remove, web, stop_timeout=1) for _ in range(4)]:
                done.result()
        assert not lab.exists(web)


class TestPorts:
    def test_who_has_a_port_or_takes_it_again(self, lab: Lab, engine: DockerEngine) -> None:
        def publishing(service: str, port: int, script: str = FOREVER, restart: str = "no") -> str:
            bindings = {"8000/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port) if port else ""}]}
            return lab.run(
                service,
                script,
                ExposedPorts={"8000/tcp": {}},
                HostConfig={"NetworkMode": "bridge", "PortBindings": bindings, "RestartPolicy": {"Name": restart}},
            )

        def name(container: str) -> str:
            return str(lab.details(container)["Name"]).removeprefix("/")

        port, other = free_port(), free_port()
        up = publishing("up", port)
        assert engine.holders(port) == (name(up),)
        lab.client.pause(up)
        assert engine.holders(port) == (name(up),)
        lab.client.unpause(up)
        lab.client.stop(up, timeout=1)
        assert engine.holders(port) == ()
        loops = publishing("loops", other, "exit 1", "always")
        assert engine.holders(other) == (name(loops),)
        chosen = publishing("chosen", 0)
        given = int(lab.details(chosen)["NetworkSettings"]["Ports"]["8000/tcp"][0]["HostPort"])
        assert engine.holders(given) == (name(chosen),)


class TestHost:
    def test_the_data_root_and_the_clock_are_the_engines(self, lab: Lab, engine: DockerEngine) -> None:
        assert engine.disk_root() == lab.client.info()["DockerRootDir"]
        assert abs(engine.now() - datetime.now(UTC)) < timedelta(seconds=5)  # the same machine here


class TestKeepers:
    def test_a_keeper_holds_its_image_outside_the_project_and_is_left_alone(
        self, lab: Lab, engine: DockerEngine
    ) -> None:
        images = frozenset({lab.image_id, lab.another_image(files={"a": b"a"})})
        engine.keep(lab.project, "app", images)
        keepers = lab.keepers()
        assert {keeper["Image"] for keeper in keepers} == images
        for keeper in keepers:
            assert keeper["Name"] == f"/{lab.project}-keeper-{keeper['Image'].removeprefix('sha256:')[:12]}"
            assert keeper["State"]["Running"]
            assert keeper["HostConfig"]["RestartPolicy"]["Name"] == "always"
            assert keeper["HostConfig"]["NetworkMode"] == "none"
            assert keeper["HostConfig"]["ReadonlyRootfs"]
            assert keeper["Config"]["Labels"][LABEL_APP] == "app"
            assert not any(label.startswith("com.docker.compose") for label in keeper["Config"]["Labels"])
            assert not any("docker.sock" in mount["Source"] for mount in keeper["Mounts"])
            assert all(not mount["RW"] for mount in keeper["Mounts"])
        assert engine.containers(lab.project, details=False) == ()
        engine.keep(lab.project, "app", images)
        engine.add_keepers(lab.project, "app", images)
        assert {k["Id"]: k["State"]["StartedAt"] for k in lab.keepers()} == {
            k["Id"]: k["State"]["StartedAt"] for k in keepers
        }

    def test_keep_removes_keepers_of_other_images_and_add_keepers_does_not(
        self, lab: Lab, engine: DockerEngine
    ) -> None:
        old, new = lab.image_id, lab.another_image(files={"a": b"a"})
        engine.keep(lab.project, "app", frozenset({old}))
        engine.add_keepers(lab.project, "app", frozenset({new}))
        assert {keeper["Image"] for keeper in lab.keepers()} == {old, new}
        engine.keep(lab.project, "app", frozenset({new}))
        assert {keeper["Image"] for keeper in lab.keepers()} == {new}
        engine.keep(lab.project, "app", frozenset())
        assert lab.keepers() == []

    def test_another_projects_keepers_stay(self, lab: Lab, engine: DockerEngine) -> None:
        with new_lab() as other:
            engine.keep(other.project, "app", frozenset({other.image_id}))
            engine.keep(lab.project, "app", frozenset({lab.image_id}))
            engine.keep(lab.project, "app", frozenset())
            assert len(other.keepers()) == 1

    def test_an_image_that_only_a_keeper_holds_survives_pruning_and_goes_when_it_goes(
        self, lab: Lab, engine: DockerEngine
    ) -> None:
        engine.keep(lab.project, "app", frozenset({lab.image_id}))
        client: Any = lab.client
        assert (
            client.prune_containers(filters={"label": f"io.reconciler.keeper={lab.project}"})["ContainersDeleted"]
            is None
        )
        with pytest.raises(docker.errors.APIError, match="cannot be forced"):
            lab.client.remove_image(lab.image_id, force=True)
        engine.keep(lab.project, "app", frozenset())
        lab.client.remove_image(lab.image_id)
        assert engine.image_id(lab.image_id) is None

    def test_a_stopped_keeper_is_started_again(self, lab: Lab, engine: DockerEngine) -> None:
        engine.keep(lab.project, "app", frozenset({lab.image_id}))
        keeper = lab.keepers()[0]["Id"]
        before = time.monotonic()
        lab.client.stop(keeper, timeout=10)
        assert time.monotonic() - before < 2.0  # it answers SIGTERM at once
        assert lab.details(keeper)["State"]["ExitCode"] == 0
        engine.add_keepers(lab.project, "app", frozenset({lab.image_id}))
        assert lab.details(keeper)["State"]["Running"]
        assert len(lab.keepers()) == 1

    @pytest.mark.parametrize("how", ["crashes", "paused", "no restart"])
    def test_a_broken_keeper_is_replaced(self, lab: Lab, engine: DockerEngine, how: str) -> None:
        engine.keep(lab.project, "app", frozenset({lab.image_id}))
        keeper = lab.keepers()[0]
        match how:
            case "paused":
                lab.client.pause(keeper["Id"])
            case "no restart":
                client: Any = lab.client
                client.update_container(keeper["Id"], restart_policy={"Name": "no"})
            case "crashes":
                lab.client.remove_container(keeper["Id"], force=True)
                body = {
                    "Image": lab.image_id,
                    "Entrypoint": ["/bin/sh", "-c", "exit 1"],
                    "Labels": keeper["Config"]["Labels"],
                    "HostConfig": {"RestartPolicy": {"Name": "always"}, "NetworkMode": "none"},
                }
                broken = lab.create(body, keeper["Name"].removeprefix("/"))
                lab.client.start(broken)
                lab.until(broken, lambda it: it["RestartCount"] >= 2)
        engine.keep(lab.project, "app", frozenset({lab.image_id}))
        (now,) = lab.keepers()
        assert now["Id"] != keeper["Id"]
        assert now["State"]["Status"] == "running"
        assert now["RestartCount"] == 0
        assert now["HostConfig"]["RestartPolicy"]["Name"] == "always"

    def test_whatever_the_image_brings_along(self, lab: Lab, engine: DockerEngine) -> None:
        hostile = lab.another_image(
            files={"lib/preload.so": b"not a library"},
            changes=[
                "USER nobody-knows",
                "WORKDIR /no/such/place",
                'ENTRYPOINT ["/no/such/program"]',
                'CMD ["x"]',
                "VOLUME /data",
                "VOLUME /usr",
                "ENV PATH=/nowhere LD_PRELOAD=/lib/preload.so",
                "HEALTHCHECK --interval=1s CMD exit 1",
                "STOPSIGNAL SIGKILL",
                "LABEL com.docker.compose.project=" + lab.project,
                "LABEL com.docker.compose.service=web",
            ],
        )
        engine.keep(lab.project, "app", frozenset({hostile}))
        (keeper,) = lab.keepers()
        assert keeper["State"]["Status"] == "running"
        assert keeper["State"].get("Health", {}).get("Status", "none") == "none"
        assert not [mount for mount in keeper["Mounts"] if mount["Type"] == "volume"]
        assert {mount["Destination"] for mount in keeper["Mounts"]} >= {"/usr", "/bin"}  # the host's shell, not its own
        assert engine.containers(lab.project, details=False) == ()

    @pytest.mark.parametrize("how", ["merged", "empty", "no shell"])
    def test_images_of_any_layout_run_the_hosts_shell(self, lab: Lab, engine: DockerEngine, how: str) -> None:
        files = {
            "merged": {"bin": b"->usr/bin", "lib": b"->usr/lib", "lib64": b"->usr/lib64", "usr/lib/x": b"x"},
            "empty": {"etc/hostname": b"x"},
            "no shell": {"bin/sh": b"not a program"},
        }[how]
        engine.keep(lab.project, "app", frozenset({lab.another_image(files=files)}))
        assert lab.keepers()[0]["State"]["Status"] == "running"

    def test_an_image_that_is_not_there_is_said_clearly(self, lab: Lab, engine: DockerEngine) -> None:
        with pytest.raises(PreflightFailed, match="image 000000000000 isn't on the target"):
            engine.keep(lab.project, "app", frozenset({"sha256:" + "0" * 64}))

    def test_a_name_taken_by_someone_else_is_said_and_nothing_is_removed(self, lab: Lab, engine: DockerEngine) -> None:
        name = f"{lab.project}-keeper-{lab.image_id.removeprefix('sha256:')[:12]}"
        foreign = lab.run("foreign")
        lab.client.rename(foreign, name)
        with pytest.raises(TargetUnfit, match=f"a container that isn't ours is named {name}"):
            engine.keep(lab.project, "app", frozenset({lab.image_id}))
        assert lab.details(foreign)["State"]["Running"]

    def test_a_keeper_that_cannot_run_is_an_error_and_leaves_nothing(
        self, lab: Lab, engine: DockerEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        nothing = lab.another_image(files={"bin/sh": b"not a program"})
        monkeypatch.setattr("reconciler.adapters.engine.keeper.DIRECTORY_CHOICES", (("/lib",), ()))
        with pytest.raises(TargetUnfit, match=r"the keeper of image \w+ doesn't run, so a prune could take"):
            engine.keep(lab.project, "app", frozenset({nothing}))
        assert lab.keepers() == []

    def test_a_shell_that_starts_and_dies_is_noticed(
        self, lab: Lab, engine: DockerEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("reconciler.adapters.engine.keeper_config.LOOP", "exit 127")
        with pytest.raises(TargetUnfit, match="doesn't run"):
            engine.keep(lab.project, "app", frozenset({lab.image_id}))
        assert lab.keepers() == []

    def test_a_directory_that_the_host_lacks_is_left_out(
        self, lab: Lab, engine: DockerEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        choices = (("/usr", "/lib", "/lib64", "/bin", "/nosuchdir"),)
        monkeypatch.setattr("reconciler.adapters.engine.keeper.DIRECTORY_CHOICES", choices)
        engine.keep(lab.project, "app", frozenset({lab.image_id}))
        assert {mount["Destination"] for mount in lab.keepers()[0]["Mounts"]} == {"/usr", "/lib", "/lib64", "/bin"}


def _ignore(_: str) -> None:
    return None


def _remove(lab: Lab, reference: str) -> None:
    try:
        lab.client.remove_image(reference, noprune=True)
    except docker.errors.ImageNotFound:
        return
