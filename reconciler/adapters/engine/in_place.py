"""What is put back on a container without making it anew: its limits, and its place on networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.adapters.engine import live
from reconciler.adapters.engine.facts import Json
from reconciler.adapters.engine.library import docker
from reconciler.model.errors import CannotUpdate
from reconciler.model.limits import RESETS, RESTART_POLICY, irrevocable
from reconciler.model.stored import Attachment

_TOGETHER = (frozenset({"Memory", "MemorySwap"}), frozenset({"CpuPeriod", "CpuQuota"}))
"""On cgroup v2 each pair is one thing to set: runc refuses swap without memory there, and defaults a period."""
_NOT_CONNECTED = "is not connected to"


class InPlace:
    """Raises CannotUpdate where the engine can't, and what the docker library raises for a container that is gone."""

    def __init__(self, client: docker.APIClient, name: str) -> None:
        self._client = client
        self._name = name

    def update(self, container_id: str, limits: Mapping[str, int | str]) -> None:
        """Gives the container exactly these limits (`Live.limits`), and looks whether it has them."""
        before = self._inspect(container_id)
        who, found = _name(before), live.limits(before)
        if found == limits:
            return
        if stuck := irrevocable(limits, found):
            raise self._cannot(who, f"the engine takes no {' and no '.join(stuck)} away from a container")
        try:
            self._post(f"/containers/{container_id}/update", body_of_update(limits, found))
        except docker.errors.NotFound:
            raise
        except docker.errors.APIError as error:
            raise self._cannot(who, f"the engine refuses its limits: {_said(error)}") from error
        now = live.limits(self._inspect(container_id))
        if now != limits:
            wrong = sorted(name for name in now.keys() | limits.keys() if now.get(name) != limits.get(name))
            raise self._cannot(who, f"the engine accepted its limits and did not set {', '.join(wrong)}")

    def connect(self, container_id: str, network: str, attachment: Attachment) -> None:
        """Attaches the container to the network as described; one that is attached otherwise is detached before."""
        details = self._inspect(container_id)
        there = live.networks(details)
        if there.get(network) == attachment:
            return
        if network in there:
            self.disconnect(container_id, network)
        addresses = {"IPv4Address": attachment.ipv4, "IPv6Address": attachment.ipv6}
        endpoint: dict[str, Any] = {"Aliases": list(attachment.aliases)}
        if configured := {key: address for key, address in addresses.items() if address}:
            endpoint["IPAMConfig"] = configured
        try:
            self._post(f"/networks/{network}/connect", {"Container": container_id, "EndpointConfig": endpoint})
        except docker.errors.NotFound as error:
            raise self._cannot(_name(details), f"the network {network} is gone") from error
        except docker.errors.APIError as error:
            raise self._cannot(_name(details), f"it can't be attached to {network}: {_said(error)}") from error

    def disconnect(self, container_id: str, network: str) -> None:
        """Detaches the container; from a network that it isn't on, or that is gone, it is already."""
        try:
            self._post(f"/networks/{network}/disconnect", {"Container": container_id, "Force": False})
        except docker.errors.APIError as error:
            details = self._inspect(container_id)
            if network not in live.networks(details) or _NOT_CONNECTED in _said(error):
                return
            raise self._cannot(_name(details), f"it can't be detached from {network}: {_said(error)}") from error

    def _inspect(self, container_id: str) -> Json:
        found: Json = self._client.inspect_container(container_id)
        return found

    def _post(self, path: str, body: Mapping[str, Any]) -> None:
        """The library's own calls know neither NanoCpus nor PidsLimit, and leave out what is zero."""
        client: Any = self._client
        with client.post(f"{client.base_url}/v{client.api_version}{path}", json=body, timeout=client.timeout) as answer:
            client._raise_for_status(answer)

    def _cannot(self, who: str, why: str) -> CannotUpdate:
        return CannotUpdate(f"{self._name}: {who} can't be put back as it runs: {why}; it has to be made anew")


def body_of_update(limits: Mapping[str, int | str], found: Mapping[str, int | str]) -> dict[str, Any]:
    """The body of "ContainerUpdate": what differs, and what goes with it."""
    differing = {name for name in limits.keys() | found.keys() if limits.get(name) != found.get(name)}
    for pair in _TOGETHER:
        if differing & pair:
            differing |= pair & limits.keys()
    wanted = {name: limits.get(name, RESETS.get(name, 0)) for name in sorted(differing)}
    if RESTART_POLICY in wanted:
        policy, _, most = str(wanted[RESTART_POLICY]).partition(":")
        return {**wanted, RESTART_POLICY: {"Name": policy, "MaximumRetryCount": int(most or 0)}}
    return wanted


def _name(inspected: Json) -> str:
    return str(inspected["Name"]).removeprefix("/")


def _said(error: docker.errors.APIError) -> str:
    return " ".join(str(error.explanation or error).split())
