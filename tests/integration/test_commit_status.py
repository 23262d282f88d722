"""Commit statuses over real HTTP: what each forge is sent, and what becomes of the ways in which it can say no."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.adapters.forge.statuses import ForgeStatuses
from reconciler.core.notices import Sighting
from reconciler.daemon.commit_status import CommitStatuses
from reconciler.model.notice import CommitMark
from reconciler.model.notify import CommitState
from reconciler.model.stored import Past, Phase, Quarantine, Suspension, TargetState
from reconciler.telemetry.log import RedactorHolder, configure
from tests.world.network import free_port
from tests.world.sink import Sink, sink

TOKEN = "tok-3f9a2b61c0"
SHA, NEXT = "c" * 40, "d" * 40
NOW = datetime.now(UTC)
TAG, OTHER = "20260122_101500", "20260122_111500"


@pytest.fixture
def server() -> Iterator[Sink]:
    with sink() as there:
        there.status = 201
        yield there


def forge(kind: str, there: Sink, repository: str = "owner/name") -> ForgeStatuses:
    return ForgeStatuses(kind, f"http://127.0.0.1:{there.port}/api", repository, TOKEN, "reconciler/observer")


def mark(state: CommitState = CommitState.PENDING, text: str = "on its way") -> CommitMark:
    return CommitMark(commit=SHA, state=state, text=text, at=NOW)


def test_github(server: Sink) -> None:
    sent = forge("github", server).mark([mark(CommitState.ERROR)], timeout=5)

    assert (sent.count, sent.why) == (1, "")
    (got,) = server.got
    assert (got.method, got.path) == ("POST", f"/api/repos/owner/name/statuses/{SHA}")
    assert got.headers["Authorization"] == f"Bearer {TOKEN}"
    assert got.headers["Accept"] == "application/vnd.github+json"
    assert got.body == {"state": "error", "description": "on its way", "context": "reconciler/observer"}


def test_gitlab(server: Sink) -> None:
    forge("gitlab", server, "group/sub/name").mark([mark(CommitState.FAILURE)], timeout=5)

    (got,) = server.got
    assert got.path == f"/api/projects/group%2Fsub%2Fname/statuses/{SHA}"
    assert got.headers["Private-Token"] == TOKEN
    assert "Authorization" not in got.headers
    assert got.body == {"state": "failed", "description": "on its way", "name": "reconciler/observer"}


def test_gitea(server: Sink) -> None:
    forge("gitea", server).mark([mark(CommitState.SUCCESS, "x" * 200)], timeout=5)

    (got,) = server.got
    assert got.path == f"/api/repos/owner/name/statuses/{SHA}"
    assert got.headers["Authorization"] == f"token {TOKEN}"
    assert got.body["state"] == "success"
    assert got.body["description"] == "x" * 139 + "…"


def test_gitlab_says_400_for_a_status_that_is_there(server: Sink) -> None:
    server.status, server.answer = 400, '{"message": "Cannot transition status via :enqueue from :pending"}'

    assert forge("gitlab", server).mark([mark()], timeout=5).count == 1
    assert forge("github", server).mark([mark()], timeout=5).count == 0


@pytest.mark.parametrize("status", [301, 302, 307])
def test_a_redirect_is_not_followed_with_the_token(server: Sink, status: int) -> None:
    with sink() as elsewhere:
        server.status, server.headers = status, {"Location": f"http://127.0.0.1:{elsewhere.port}/"}

        sent = forge("github", server).mark([mark()], timeout=5)

        assert elsewhere.asked == 0
    assert (sent.count, sent.is_final) == (0, True)
    assert sent.why == f"GitHub answered {status}: it is elsewhere, and the token isn't sent there"


@pytest.mark.parametrize(
    ("status", "is_final"),
    [(401, True), (403, True), (404, True), (422, True), (429, False), (500, False), (503, False)],
)
def test_what_a_retry_can_mend_is_retried(server: Sink, status: int, is_final: bool) -> None:
    server.status = status

    sent = forge("gitea", server).mark([mark()], timeout=5)

    assert (sent.count, sent.is_final) == (0, is_final)
    assert f"Gitea answered {status}" in sent.why


def test_one_that_hangs_is_left_and_one_that_is_down_is_said_so(server: Sink) -> None:
    server.hangs = True
    sent = forge("gitea", server).mark([mark()], timeout=0.5)
    assert (sent.count, sent.is_final, sent.why) == (0, False, "Gitea can't be reached: timed out")

    nobody = ForgeStatuses("github", f"http://127.0.0.1:{free_port()}", "a/b", TOKEN, "x")
    assert "refused" in nobody.mark([mark()], timeout=5).why


# The statuses of a commit over the passes that follow it.


def state(tag: str = TAG, phase: Phase = Phase.STABILIZING, *, suspended: bool = False) -> TargetState:
    release = f"{tag}-aaaaaaaa"
    return TargetState(
        app="observer",
        project="observer",
        serving=release,
        phase=phase,
        releases={release: Past(tag=tag, switched_at=NOW, verified_at=NOW)},
        quarantine={"x": Quarantine(tag=OTHER, at=NOW, reason="bad", run="r1")},
        suspended=Suspension(at=NOW, by="me", message="freeze") if suspended else None,
    )


def seen(
    result: str, target: str = "prod", tag: str = TAG, at: TargetState | None = None, record: str | None = None
) -> Sighting:
    return Sighting("observer", target, NOW, result, "said", tag, f"{tag}-aaaaaaaa", at, record=record)


def statuses(there: Sink, file: Path | None = None) -> CommitStatuses:
    return CommitStatuses("observer", "gitea", forge("gitea", there), file=file, mask=str)


def shown(there: Sink) -> list[tuple[str, str]]:
    return [(each.path[-1], each.body["state"]) for each in there.got]


def test_pending_until_every_target_has_verified_it_and_each_status_once(server: Sink, tmp_path: Path) -> None:
    both, file = ("prod", "dr"), tmp_path / "commits.json"
    marks = statuses(server, file)
    marks.desired(SHA, TAG)
    marks.saw(SHA, both, seen("deployed", at=state()))
    marks.saw(SHA, both, seen("unreachable", "dr"))
    marks.at_once(5)
    assert shown(server) == [("c", "pending")]
    marks = statuses(server, file)
    marks.desired(SHA, TAG)
    for _ in range(3):
        marks.saw(SHA, both, seen("in_sync", "dr", at=state()))
        marks.saw(SHA, both, seen("failed", at=state()))
        marks.at_once(5)

    assert shown(server) == [("c", "pending"), ("c", "success")]
    assert server.got[1].body["description"] == f"{TAG} is live and verified on prod, dr"


def test_a_breach_is_a_failure_that_names_its_record_and_nothing_that_a_gate_saw(server: Sink) -> None:
    marks = statuses(server)
    marks.desired(SHA, OTHER)
    marks.saw(SHA, ("prod",), seen("reverted", tag=OTHER, at=state(TAG, Phase.ROLLED_BACK), record="x/rollback_r1.md"))
    marks.saw(SHA, ("prod",), seen("blocked", tag=OTHER, at=state(TAG, Phase.ROLLED_BACK)))
    marks.at_once(5)

    assert shown(server) == [("c", "pending"), ("c", "failure")]
    assert server.got[1].body["description"] == "prod: taken back (record rollback_r1)"


def test_what_serves_another_tag_is_no_success(server: Sink) -> None:
    marks = statuses(server)
    marks.desired(SHA, OTHER)
    marks.saw(SHA, ("prod",), seen("drifted", tag=OTHER, at=state(TAG)))
    marks.saw(SHA, ("prod",), seen("blocked", tag=OTHER, at=state(TAG, suspended=True)))
    marks.at_once(5)
    assert shown(server) == [("c", "pending")]

    marks.saw(SHA, ("prod",), replace(seen("blocked", tag=OTHER, at=state(TAG)), desired="x"))
    marks.at_once(5)
    assert shown(server) == [("c", "pending"), ("c", "failure")]


def test_a_commit_that_another_one_overtook_doesn_t_stay_pending(server: Sink) -> None:
    """The daemon's own commit with records asks for the same tag; a later release for another."""
    marks = statuses(server)
    marks.desired(SHA, TAG)
    marks.desired(NEXT, TAG)
    marks.saw(NEXT, ("prod",), seen("in_sync", at=state()))
    marks.at_once(5)
    assert shown(server) == [("c", "pending"), ("d", "pending"), ("d", "success"), ("c", "success")]

    last = "e" * 40
    marks.desired("f" * 40, TAG)
    marks.desired(last, OTHER)
    marks.saw(last, ("prod",), seen("in_sync", tag=OTHER, at=state(OTHER)))
    marks.at_once(5)
    assert shown(server)[-1] == ("f", "error")


def test_only_whole_committed_ids_are_marked(server: Sink) -> None:
    marks = statuses(server)
    for commit in ("abc", f"{SHA}-dirty"):
        marks.desired(commit, TAG)
        marks.saw(commit, ("prod",), seen("in_sync", at=state()))
    marks.at_once(5)

    assert server.asked == 0


def test_a_forge_that_says_no_is_said_once_and_never_with_the_token(server: Sink) -> None:
    stream, before = io.StringIO(), logging.getLogger().handlers[:]
    configure("debug", "text", stream, RedactorHolder())
    try:
        server.status = 403
        marks = statuses(server)
        for commit in (SHA, NEXT):
            marks.desired(commit, TAG)
        for _ in range(3):
            marks.at_once(5)
    finally:
        logging.getLogger().handlers[:] = before
        logging.getLogger().setLevel(logging.WARNING)

    assert server.asked == 2
    assert stream.getvalue().count("Gitea answered 403; see that the token may set commit statuses there") == 1
    assert TOKEN not in stream.getvalue()
