"""Container output, bounded in memory: the library's own reader holds all of it, or switches off time-outs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from reconciler.adapters.engine.library import docker, requests

_CHUNK_BYTES = 65536
_HEADER_BYTES = 8
_UNREADABLE = "does not support reading"
_GOING = "dead or marked for removal"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def tail(client: docker.APIClient, container_id: str, *, since: datetime, limit: int, stamped: bool) -> bytes | None:
    """The last `limit` bytes that a container wrote since `since` (the engine's clock), its two streams in one.

    `stamped` puts the time of writing before each line. A container that is gone has no output: b"". None where its
    log driver keeps nothing to read. Raises what the docker library and requests raise.
    """
    params: dict[str, str | int] = {
        "stdout": 1,
        "stderr": 1,
        "follow": 0,
        "timestamps": int(stamped),
        "since": seconds(since),
    }
    url = f"{client.base_url}/v{client.api_version}/containers/{container_id}/logs"
    with client.get(url, params=params, stream=True, timeout=client.timeout) as response:
        try:
            response.raise_for_status()
        except requests.exceptions.HTTPError as error:
            return _why_not(error)
        chunks: Iterator[bytes] = response.iter_content(_CHUNK_BYTES)
        if _is_multiplexed(client, container_id, response.headers.get("Content-Type", "")):
            chunks = demultiplexed(chunks)
        return _last(chunks, limit)


def seconds(when: datetime) -> str:
    """`when` as the API wants it: seconds since 1970 with nine digits of fraction; never before 1970."""
    micros = max(0, (when - _EPOCH) // timedelta(microseconds=1))
    return f"{micros // 1_000_000}.{micros % 1_000_000:06d}000"


def demultiplexed(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The payloads of a stream in frames. Source: Docker Engine API, "ContainerAttach", "Stream format"."""
    held = bytearray()
    left = 0
    for chunk in chunks:
        held += chunk
        while left or len(held) >= _HEADER_BYTES:
            if not left:
                left = int.from_bytes(held[4:_HEADER_BYTES], "big")
                del held[:_HEADER_BYTES]
                continue
            if not held:
                break
            piece = bytes(held[:left])
            del held[: len(piece)]
            left -= len(piece)
            yield piece


def _is_multiplexed(client: docker.APIClient, container_id: str, content_type: str) -> bool:
    """The header tells since API 1.42; before, a terminal's output is the only one that has no frames."""
    if "multiplexed" in content_type:
        return True
    if tuple(map(int, client.api_version.split("."))) >= (1, 42):
        return False
    return not client.inspect_container(container_id)["Config"]["Tty"]


def _last(chunks: Iterable[bytes], limit: int) -> bytes:
    kept = bytearray()
    for chunk in chunks:
        kept += chunk
        if len(kept) > 2 * limit:
            del kept[:-limit]
    return bytes(kept[-limit:]) if limit > 0 else b""


def _why_not(error: requests.exceptions.HTTPError) -> bytes | None:
    try:
        docker.errors.create_api_error_from_http_exception(error)
    except docker.errors.NotFound:
        return b""
    except docker.errors.APIError as refusal:
        if _UNREADABLE in str(refusal.explanation):
            return None
        if _GOING in str(refusal.explanation):
            return b""
        raise
