"""The port `Engine` over the Docker API: everything that only looks, and what is changed without Compose."""

from __future__ import annotations

import json
import math
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from urllib.parse import quote

from reconciler.adapters.engine import facts, logs
from reconciler.adapters.engine.changes import changes
from reconciler.adapters.engine.errors import engine_errors
from reconciler.adapters.engine.events import EventStream
from reconciler.adapters.engine.fence import Fence
from reconciler.adapters.engine.in_place import InPlace
from reconciler.adapters.engine.keeper import Keepers
from reconciler.adapters.engine.keeper_config import Duty
from reconciler.adapters.engine.library import docker, load
from reconciler.adapters.engine.project_events import ProjectEvents
from reconciler.adapters.engine.published import holders
from reconciler.adapters.engine.pull import pull_with_credentials, pull_with_login_there
from reconciler.adapters.engine.reader import Reader
from reconciler.adapters.engine.survey import listing, survey
from reconciler.adapters.engine.usage import UsageMeter
from reconciler.model.engine_socket import socket_path
from reconciler.model.errors import TargetUnreachable
from reconciler.model.observed import LABEL_KEEPER, LABEL_WATCHDOG, ContainerFacts
from reconciler.model.stored import Attachment
from reconciler.model.trace import Change
from reconciler.ports import Credentials, Events, Origin, Stream, Survey, Transport, Usage

TIMEOUT_SECONDS = 30.0
"""The longest wait for an answer of the engine, besides what it was asked to wait for."""
_LISTINGS = 5
_DEFAULT_STOP_SECONDS = 10
_CONFLICT = 409
_REMOVALS = 20
_USED_BY = re.compile(r"being used by \w+ container (\w+)")


class DockerEngine:
    """The engine at `docker_host` on the target (as in api_client). Connects at the first use; thread-safe.

    Where the engine doesn't answer, every method raises TargetUnreachable: its state is unknown (P6). Where it answers
    and refuses (no such container, a port in use), EngineError. What changes something goes through the fence, and
    raises TakenOver once another has taken the target over.
    """

    def __init__(
        self, transport: Transport, docker_host: str, fence: Fence, deploy_dir: str, reader: Reader | None = None
    ) -> None:
        """`reader` is one over the same transport that others use, too: passes that follow each other share it."""
        self._transport = transport
        self._deploy_dir = deploy_dir
        self._fence = fence
        self._socket = socket_path(docker_host)
        self._lock = threading.Lock()
        self._reader = reader or Reader(transport, self._socket, TIMEOUT_SECONDS)
        self._client: docker.APIClient | None = None
        self._meter = UsageMeter()

    def containers(self, project: str, *, details: bool) -> tuple[ContainerFacts, ...]:
        """One round trip for the list, and with `details` one more for all containers; sorted by name.

        When one vanishes in between, everything is read again: the answer is of one moment, or there is none.
        """
        with self._looking() as reader:
            for _ in range(_LISTINGS):
                listed = reader.get(_of(project))
                if not details:
                    return _by_name(facts.from_list(entry) for entry in listed)
                answers = reader.get_all([f"/containers/{entry['Id']}/json" for entry in listed])
                if not any(answer.is_missing for answer in answers):
                    return _by_name(facts.from_inspect(answer.json(reader.name)) for answer in answers)
        raise TargetUnreachable(
            f"{self._transport.name}: the containers of {project} change faster than they can be read"
        )

    def survey(self, project: str, *, layers: bool, kept: frozenset[str]) -> Survey:
        with self._looking() as reader:
            for _ in range(_LISTINGS):
                found = survey(reader, project, layers=layers, kept=kept)
                if found is not None:
                    return found
        raise TargetUnreachable(
            f"{self._transport.name}: the containers of {project} change faster than they can be read"
        )

    def origin(self, project: str) -> Origin | None:
        with self._looking() as reader:
            listed = reader.get(_of(project))
        found = {facts.origin(entry.get("Labels") or {}) for entry in listed}
        return found.pop() if len(found) == 1 else None

    def image_id(self, reference: str) -> str | None:
        # Who asks for an image is about to change something, for which the library is needed: it comes meanwhile.
        threading.Thread(target=load, daemon=True).start()
        with self._looking() as reader:
            [answer] = reader.get_all([f"/images/{quote(reference)}/json"])
            return None if answer.is_missing else str(answer.json(reader.name)["Id"])

    def missing(self, *, networks: Sequence[str], volumes: Sequence[str]) -> tuple[str, ...]:
        with self._looking() as reader:
            there = {str(network["Name"]) for network in reader.get("/networks")} if networks else set()
            kept = {str(volume["Name"]) for volume in reader.get("/volumes")["Volumes"] or ()} if volumes else set()
        return (
            *(f"network {name}" for name in networks if name not in there),
            *(f"volume {name}" for name in volumes if name not in kept),
        )

    def pull(
        self, reference: str, credentials: Credentials | None, progress: Callable[[str], None], *, timeout: float
    ) -> None:
        """Raises PreflightFailed with the registry's own reason and what to do about it."""
        deadline = time.monotonic() + timeout
        if credentials is None:
            process = self._fence.start_pull(reference)
            pull_with_login_there(self._transport.name, process, reference, progress, deadline)
            return
        with self._changing(f"pull {reference}") as client:
            pull_with_credentials(client, self._transport.name, reference, credentials, progress, deadline)

    def remove_image(self, image_id: str) -> None:
        """Never forced: an image that a container uses, or that is tagged in two repositories, stays."""
        with self._changing(f"remove image {image_id}") as client:
            for _ in range(_REMOVALS):
                try:
                    client.remove_image(image_id)
                except docker.errors.NotFound:
                    return
                except docker.errors.APIError as error:
                    if error.status_code != _CONFLICT:
                        raise
                    if self._is_really_used(client, str(error.explanation or error)):
                        return
                else:
                    return

    @staticmethod
    def _is_really_used(client: docker.APIClient, conflict: str) -> bool:
        """False where the container that stands in the way is gone: the engine counts it for a moment longer."""
        user = _USED_BY.search(conflict)
        if user is None:
            return True
        with suppress(docker.errors.NotFound):
            client.inspect_container(user[1])
            return True
        return False

    def logs(self, container_id: str, *, since: datetime, limit: int) -> bytes:
        """b"" for a container that is gone, or whose log driver keeps nothing to read."""
        with self._asking() as client:
            return logs.tail(client, container_id, since=since, limit=limit, stamped=False) or b""

    def stamped_logs(self, container_id: str, *, since: datetime, limit: int) -> bytes | None:
        """The same with the time of writing before each line; None where the log driver keeps nothing to read."""
        with self._asking() as client:
            return logs.tail(client, container_id, since=since, limit=limit, stamped=True)

    def usage(self, container_id: str) -> Usage:
        """A container that is gone or doesn't run uses nothing, and has a limit of 0."""
        with self._asking() as client:
            return self._meter.read(client, container_id)

    def health_output(self, container_id: str) -> str:
        """What the container's newest failed health probe printed, whole and unmasked; "" where there is none."""
        with self._looking() as reader:
            [answer] = reader.get_all([f"/containers/{container_id}/json"])
            return "" if answer.is_missing else facts.last_health_output(answer.json(reader.name))

    def last_exit_code(self, container_id: str) -> int | None:
        """Of the last end that the engine remembers (it keeps 256 events); None where it doesn't."""
        with self._asking() as client:
            until = f"{datetime.fromisoformat(client.info()['SystemTime']).timestamp():.9f}"
            wanted = {"container": [container_id], "event": ["die"]}
            # A datetime would be cut to whole seconds there.
            ends = list(client.events(since=1, until=until, filters=wanted, decode=True))  # type: ignore[call-overload]
        return int(ends[-1]["Actor"]["Attributes"]["exitCode"]) if ends else None

    def events(self, project: str) -> Events:
        stream = EventStream(self._transport, self._socket, labels=[f"{facts.COMPOSE_PROJECT}={project}"])
        return ProjectEvents(stream, self._transport.name)

    def start(self, container_id: str) -> None:
        with self._changing(f"start {container_id}") as client:
            if client.inspect_container(container_id)["State"]["Paused"]:
                client.unpause(container_id)
            else:
                client.start(container_id)

    def stop(self, container_id: str) -> None:
        """One that is gone already is fine."""
        with self._changing(f"stop {container_id}") as client, suppress(docker.errors.NotFound):
            grace = client.inspect_container(container_id)["Config"].get("StopTimeout")
            client.stop(container_id, timeout=_DEFAULT_STOP_SECONDS if grace is None else grace)

    def remove(self, container_id: str, *, stop_timeout: float) -> None:
        """Returns when it is gone, also where someone else removes it already. `stop_timeout` is in seconds."""
        with self._changing(f"remove {container_id}") as client, suppress(docker.errors.NotFound):
            client.stop(container_id, timeout=math.ceil(stop_timeout))
            try:
                client.remove_container(container_id, v=False)
            except docker.errors.APIError as error:
                if error.status_code != _CONFLICT or "in progress" not in str(error.explanation):
                    raise
                client.wait(container_id, timeout=int(TIMEOUT_SECONDS), condition="removed")

    def update(self, container_id: str, limits: Mapping[str, int | str]) -> None:
        with self._changing(f"update {container_id}") as client:
            InPlace(client, self._transport.name).update(container_id, limits)

    def connect(self, container_id: str, network: str, attachment: Attachment) -> None:
        with self._changing(f"connect {container_id} to {network}") as client:
            InPlace(client, self._transport.name).connect(container_id, network, attachment)

    def disconnect(self, container_id: str, network: str) -> None:
        with self._changing(f"disconnect {container_id} from {network}") as client:
            InPlace(client, self._transport.name).disconnect(container_id, network)

    def changes(self, since: datetime) -> tuple[Change, ...]:
        with self._asking() as client:
            return changes(client, since)

    def keep(self, project: str, app: str, image_ids: frozenset[str]) -> None:
        """Adds first and removes then. Raises PreflightFailed or TargetUnfit, see Keepers.ensure."""
        with self._asking() as looking, self._changing("keepers") as client:
            keepers = self._keepers(looking, client, project, app)
            keepers.ensure(image_ids)
            keepers.release_others(image_ids)

    def add_keepers(self, project: str, app: str, image_ids: frozenset[str]) -> None:
        """Raises PreflightFailed or TargetUnfit, see Keepers.ensure."""
        with self._asking() as looking, self._changing("keepers") as client:
            self._keepers(looking, client, project, app).ensure(image_ids)

    def guards(self, project: str) -> bool:
        query = quote(json.dumps({"label": [f"{LABEL_KEEPER}={project}"], "status": ["running"]}))
        with self._looking() as reader:
            found = reader.get(f"/containers/json?filters={query}")
        wanted = f"{self._duty().version()} on"
        return any((keeper.get("Labels") or {}).get(LABEL_WATCHDOG) == wanted for keeper in found)

    def _duty(self) -> Duty:
        return Duty(self._deploy_dir, self._socket)

    def _keepers(self, looking: docker.APIClient, client: docker.APIClient, project: str, app: str) -> Keepers:
        return Keepers(looking, client, self._transport.name, project=project, app=app, duty=self._duty())

    def holders(self, port: int) -> tuple[str, ...]:
        with self._looking() as reader:
            return holders(reader, port)

    def environments(self, project: str) -> Mapping[str, tuple[Mapping[str, str], ...]]:
        found: dict[str, tuple[Mapping[str, str], ...]] = {}
        with self._looking() as reader:
            paths = [f"/containers/{entry['Id']}/json" for entry in reader.get(_of(project))]
            for answer in reader.get_all(paths):
                if not answer.is_missing:
                    inspected = answer.json(reader.name)
                    service = facts.from_inspect(inspected).service
                    found[service] = (*found.get(service, ()), facts.environment(inspected))
        return found

    def disk_root(self) -> str:
        with self._looking() as reader:
            return str(reader.get("/info")["DockerRootDir"])

    def now(self) -> datetime:
        """The engine's own clock, which stamps starts and log lines."""
        with self._looking() as reader:
            return datetime.fromisoformat(reader.get("/info")["SystemTime"]).astimezone(UTC)

    def close(self) -> None:
        """Drops the connections to the engine; the next use makes new ones."""
        self._reader.close()
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    @contextmanager
    def _looking(self) -> Iterator[Reader]:
        with engine_errors(self._transport.name, self._socket):
            yield self._reader

    @contextmanager
    def _asking(self) -> Iterator[docker.APIClient]:
        with engine_errors(self._transport.name, self._socket):
            with self._lock:
                if self._client is None:
                    self._client = self._new_client()
                client = self._client
            yield client

    @contextmanager
    def _changing(self, what: str) -> Iterator[docker.APIClient]:
        """A client of its own, behind the fence; it connects at the first request, and the fence opens when it ends."""
        with engine_errors(self._transport.name, self._socket):
            client = self._new_client(lambda seconds: self._fence.dial_engine(what, seconds))
            try:
                yield client
            finally:
                client.close()

    def _new_client(self, dial: Callable[[float], Stream] | None = None) -> docker.APIClient:
        """With it comes the docker library, 0.1 s of imports: not for a pass that only looks."""
        load()
        from reconciler.adapters.engine.client import api_client

        return api_client(self._transport, self._socket, TIMEOUT_SECONDS, self._reader, dial)


def _of(project: str) -> str:
    return listing(f"{facts.COMPOSE_PROJECT}={project}")


def _by_name(found: Iterable[ContainerFacts]) -> tuple[ContainerFacts, ...]:
    return tuple(sorted(found, key=lambda container: container.name))
