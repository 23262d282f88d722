"""Keepers (P3): a small running container for each image of the way back, so that no prune takes the image away."""

from __future__ import annotations

import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from reconciler.adapters.engine.facts import Json
from reconciler.adapters.engine.keeper_config import DIRECTORY_CHOICES, PROBE, Duty, keeper_config, keeper_name, short
from reconciler.adapters.engine.library import docker
from reconciler.model.errors import PreflightFailed, TargetUnfit
from reconciler.model.observed import LABEL_KEEPER, LABEL_WATCHDOG

_AT_ONCE = 4
_MISSING_SOURCE = re.compile(r"(?:bind source path does not exist|invalid mount config).*?: (/\w+)")
_CONFLICT = 409


def is_sound(inspected: Json) -> bool:
    """Whether a keeper runs, and will again after a restart of the engine."""
    state = inspected["State"]
    return inspected["HostConfig"]["RestartPolicy"]["Name"] == "always" and state["Running"] and not state["Restarting"]


class Keepers:
    """The keepers of one Compose project. Raises what the docker library raises, besides what is named.

    `looking` reads, and `client` changes something: it is used only where something is missing. `duty` is what each
    does besides: where the host lets it, it runs the target's watchdog.
    """

    def __init__(
        self, looking: docker.APIClient, client: docker.APIClient, name: str, *, project: str, app: str, duty: Duty
    ) -> None:
        self._looking = looking
        self._client = client
        self._name = name
        self._project = project
        self._app = app
        self._duty = duty
        self._version = duty.version()

    def ensure(self, image_ids: Iterable[str]) -> None:
        """One running keeper for each image, proved to run; what runs already is left alone.

        Raises PreflightFailed where an image isn't on the target, TargetUnfit where no keeper of it can run.
        """
        held = {str(keeper["ImageID"]) for keeper in self._all() if self._is_sound(keeper)}
        missing = sorted(set(image_ids) - held)
        if len(missing) < 2:
            for image_id in missing:
                self._hold(image_id)
            return
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="keeper") as pool:
            for done in [pool.submit(self._hold, image_id) for image_id in missing]:
                done.result()

    def release_others(self, image_ids: frozenset[str]) -> None:
        """Removes the project's keepers of every other image, and second ones of the same."""
        kept: set[str] = set()
        for keeper in self._all():
            image_id = str(keeper["ImageID"])
            if image_id in image_ids and image_id not in kept and self._is_sound(keeper):
                kept.add(image_id)
            else:
                self._remove(str(keeper["Id"]))

    def _all(self) -> list[Json]:
        found: list[Json] = self._looking.containers(all=True, filters={"label": f"{LABEL_KEEPER}={self._project}"})
        return found

    def _is_sound(self, keeper: Json) -> bool:
        """Runs as this version would make it, and will again after a restart of the engine (the list alone shows no
        restart policy)."""
        if keeper["State"] != "running" or keeper["Labels"].get(LABEL_WATCHDOG, "").split(" ")[0] != self._version:
            return False
        try:
            details: Json = self._looking.inspect_container(str(keeper["Id"]))
        except docker.errors.NotFound:
            return False
        return is_sound(details)

    def _hold(self, image_id: str) -> None:
        try:
            image: Json = self._looking.inspect_image(image_id)  # type: ignore[no-untyped-call]  # the stubs say nothing
        except docker.errors.NotFound as error:
            raise PreflightFailed(
                f"{self._name}: image {short(image_id)} isn't on the target, so nothing can hold it; pull it again"
            ) from error
        for keeper in self._all():
            if keeper["ImageID"] == image_id:
                if self._revive(keeper):
                    return
                self._remove(str(keeper["Id"]))
        self._make(image)

    def _revive(self, keeper: Json) -> bool:
        """Starts a stopped keeper. False where it doesn't come to run, or wouldn't after the engine's next start."""
        if keeper["State"] not in {"exited", "created", "running"}:
            return False  # restarting, paused, dead, removing: a new one is surer
        container_id = str(keeper["Id"])
        with suppress(docker.errors.APIError):
            self._client.start(container_id)
            has_duty = str(keeper["Labels"].get(LABEL_WATCHDOG, "")).endswith(" on")
            sound = self._is_sound({**keeper, "State": "running"})
            return sound and not self._trouble(container_id, self._duty if has_duty else None)
        return False

    def _make(self, image: Json) -> None:
        troubles: list[str] = []
        for directories, duty in ((DIRECTORY_CHOICES[0], self._duty), *((each, None) for each in DIRECTORY_CHOICES)):
            trouble = self._try(image, list(directories), duty)
            if not trouble:
                return
            troubles.append(trouble)
        raise TargetUnfit(
            f"{self._name}: the keeper of image {short(str(image['Id']))} doesn't run, so a prune could take the way "
            f"back: {troubles[1]}; it needs the host's /bin/sh with its libraries (in /usr, /lib, /lib64, /bin), or a "
            "shell in the image"
        )

    def _try(self, image: Json, directories: list[str], duty: Duty | None) -> str:
        """Creates, starts and proves a keeper: "", or else why it doesn't run, with nothing left behind."""
        name = keeper_name(self._project, str(image["Id"]))
        while True:
            config = keeper_config(
                image,
                app=self._app,
                project=self._project,
                directories=directories,
                duty=duty,
                version=self._version,
            )
            try:
                created: Json = self._client.create_container_from_config(config, name=name)  # type: ignore[no-untyped-call]
                container_id = str(created["Id"])
                break
            except docker.errors.APIError as error:
                said = str(error.explanation or error)
                missing = _MISSING_SOURCE.search(said)
                if missing and missing[1] in directories:
                    directories.remove(missing[1])  # no /lib64 on arm64 and Alpine
                    continue
                if error.status_code == _CONFLICT:
                    raise TargetUnfit(
                        f"{self._name}: a container that isn't ours is named {name}; rename or remove it"
                    ) from error
                return said
        trouble = "it was not started"
        try:
            self._client.start(container_id)
            trouble = self._trouble(container_id, duty)
        except docker.errors.APIError as error:
            trouble = str(error.explanation or error)
        finally:
            if trouble:
                self._remove(container_id)
        return trouble

    def _trouble(self, container_id: str, duty: Duty | None) -> str:
        """Why a started keeper doesn't work, "" where it does: the engine calls a process started before it could fail.

        A command run in it, awaited to its end, needs what the keeper needs. The plain answer (no upgrade of the
        connection) works through every kind of stream.
        """
        client = self._client
        try:
            probe = str(
                client.exec_create(container_id, duty.probe() if duty else ["/bin/sh", "-c", PROBE], tty=True)["Id"]
            )
            url = f"{client.base_url}/v{client.api_version}/exec/{probe}/start"
            with client.post(url, json={"Detach": False, "Tty": True}, timeout=client.timeout) as answer:
                printed = " ".join(answer.content.decode(errors="replace").split())
            status = client.exec_inspect(probe)["ExitCode"]
        except docker.errors.APIError as error:
            return str(error.explanation or error)
        return "" if status == 0 else f"its shell ended with status {status}: {printed[:200]}"

    def _remove(self, container_id: str) -> None:
        """Keepers have no data: what anonymous volumes one could have go with it."""
        try:
            self._client.remove_container(container_id, force=True, v=True)
        except docker.errors.NotFound:
            return
        except docker.errors.APIError as error:
            if error.status_code != _CONFLICT:  # someone else removes it already
                raise
