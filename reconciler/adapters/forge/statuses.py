"""Commit statuses on GitHub, GitLab, and Gitea or Forgejo.

Sources: GitHub REST API, "Commit statuses" (POST /repos/{owner}/{repo}/statuses/{sha}; a description has at most 140
characters); GitLab REST API, "Commits", "Set the pipeline status of a commit" (POST /projects/:id/statuses/:sha, the
project's path URL-encoded, at most 255 characters); Gitea's Swagger, `repoCreateStatus` (POST
/repos/{owner}/{repo}/statuses/{sha}).
"""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from reconciler import __version__
from reconciler.dataclass import dataclass
from reconciler.model.notice import CommitMark
from reconciler.model.notify import CommitState
from reconciler.ports.telling import Sent

LONGEST_TEXT: Final = 140
"""Characters of a description: the least that one of them takes."""
_LARGEST_ANSWER: Final = 16 * 1024
_AGAIN: Final = frozenset({408, 425, 429})
"""Answers below 500 that another time may help with. Sources: RFC 9110, RFC 8470, RFC 6585."""
_APIS: Final = {"github": "https://api.github.com", "gitlab": "https://gitlab.com/api/v4"}
_GITLAB: Final = {
    CommitState.PENDING: "pending",
    CommitState.SUCCESS: "success",
    CommitState.FAILURE: "failed",
    CommitState.ERROR: "canceled",
}


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """None: the token is for the address that deploy.yaml names, and for no other."""
        return


@dataclass(frozen=True, slots=True)
class ForgeStatuses:
    """Implements `ports.telling.Forge`. `forge` is github, gitlab or gitea; `context` names us among others who set
    statuses; `api` is the API's base address, None for the public one."""

    forge: str
    api: str | None
    repository: str
    token: str
    context: str

    def mark(self, marks: Sequence[CommitMark], *, timeout: float) -> Sent:
        for position, each in enumerate(marks):
            failure = self._set(each, timeout)
            if failure is not None:
                return Sent(position, *failure)
        return Sent(len(marks))

    def _set(self, mark: CommitMark, timeout: float) -> tuple[str, bool] | None:
        """Why it couldn't be set, and whether that is final; None where it was."""
        # Not by requests: that sends what ~/.netrc says instead of our token.
        opener = urllib.request.build_opener(_NoRedirect())
        try:
            with opener.open(self._request(mark), timeout=timeout):
                return None
        except urllib.error.HTTPError as error:
            with error:
                said = _read(error)
            if self.forge == "gitlab" and error.code == 400 and "Cannot transition status" in said:
                return None  # it has this status already
            if 300 <= error.code < 400:
                return f"{self._name} answered {error.code}: it is elsewhere, and the token isn't sent there", True
            hint = "; see that the token may set commit statuses there" if error.code in {401, 403, 404} else ""
            return f"{self._name} answered {error.code}{hint}", error.code < 500 and error.code not in _AGAIN
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            return f"{self._name} can't be reached: {reason}", False

    @property
    def _name(self) -> str:
        return {"github": "GitHub", "gitlab": "GitLab"}.get(self.forge, "Gitea")

    def _request(self, mark: CommitMark) -> urllib.request.Request:
        base = (self.api or _APIS[self.forge]).rstrip("/")
        text = mark.text if len(mark.text) <= LONGEST_TEXT else f"{mark.text[: LONGEST_TEXT - 1]}…"
        headers = {"Content-Type": "application/json", "User-Agent": f"reconciler/{__version__}"}
        body: Mapping[str, str] = {"state": mark.state.value, "description": text, "context": self.context}
        match self.forge:
            case "gitlab":
                url = f"{base}/projects/{quote(self.repository, safe='')}/statuses/{mark.commit}"
                headers["PRIVATE-TOKEN"] = self.token
                body = {"state": _GITLAB[mark.state], "description": text, "name": self.context}
            case "github":
                url = f"{base}/repos/{self.repository}/statuses/{mark.commit}"
                headers |= {
                    "Authorization": f"Bearer {self.token}",
                    "Accept": "application/vnd.github+json",
                    "X-GitHub-Api-Version": "2022-11-28",
                }
            case _:
                url = f"{base}/repos/{self.repository}/statuses/{mark.commit}"
                headers |= {"Authorization": f"token {self.token}", "Accept": "application/json"}
        return urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")  # noqa: S310 - http(s), by the model


def _read(error: urllib.error.HTTPError) -> str:
    try:
        return error.read(_LARGEST_ANSWER).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        return ""
