"""`notify`: whom the reconciler tells what happened, and where a commit gets its status."""

import re
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from reconciler.model.base import Listing, Model, as_written, refused, wrong
from reconciler.model.quantities import PositiveDuration
from reconciler.model.secret import Secret
from reconciler.model.text import HttpUrl


class Event(StrEnum):
    """What is told, each once for each thing that it happens to (`core.notices`)."""

    DEPLOYED = "deployed"
    """A release is live and verified."""
    HELD = "held"
    """A release is live, and couldn't be measured to the end; or it breached, and `rollback.on_breach` is off."""
    REVERTED = "reverted"
    """The release before serves again."""
    REVERT_FAILED = "revert_failed"
    """Going back didn't help either: a person is needed now."""
    QUARANTINED = "quarantined"
    """A release isn't tried again until a person lifts it."""
    STABLE = "stable"
    """A release came through its stabilization period."""
    DRIFT = "drift"
    """Something differs although no commit asked for it, and is left alone by policy."""
    HEALED = "healed"
    """Something differed although no commit asked for it, and was put back."""
    FAILED = "failed"
    """Passes can't do what is asked for, and nothing that runs was touched."""
    BLIND = "blind"
    """The gates of a stabilizing release can't measure."""
    UNREACHABLE = "unreachable"
    """Nothing is known of a target."""
    SOURCE = "source"
    """The desired state can't be fetched, or must not be believed, or is wrong."""
    RECORDS = "records"
    """Run records can't be pushed."""
    RECOVERED = "recovered"
    """`failed`, `blind`, `unreachable`, `source` or `records` is over."""


class CommitState(StrEnum):
    """How far the commit has come."""

    PENDING = "pending"
    SUCCESS = "success"
    """Live and verified on every target."""
    FAILURE = "failure"
    """Taken back, or refused."""
    ERROR = "error"
    """Passes fail, or another commit came before this one was live: nothing is said of the commit itself."""


_EVENTS = ", ".join(Event)


def _event(value: object) -> object:
    written = as_written(value)
    if isinstance(written, str) and written not in list(Event):
        raise wrong("the name of an event", f"there are: {_EVENTS}")
    return Event(written) if isinstance(written, str) else written


EventName = Annotated[Event, BeforeValidator(_event), WithJsonSchema({"type": "string", "enum": list(Event)})]
"""An event that is told."""

_REPOSITORY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_.][A-Za-z0-9_.-]*)+", re.ASCII)


def _repository(value: str) -> str:
    if not _REPOSITORY.fullmatch(value) or any(part in {".", ".."} for part in value.split("/")):
        raise wrong("a repository on the forge", "such as `owner/name`")
    return value


class CommitStatus(Model):
    """Where the commit that is deployed gets a status: pending, then success or failure."""

    forge: Literal["github", "gitlab", "gitea"] = Field(description="Whose API it is; Forgejo has Gitea's.")
    api: HttpUrl | None = Field(
        None,
        description="Base address of the API; left out: GitHub's and GitLab's own. Gitea's is `https://HOST/api/v1`.",
    )
    repository: Annotated[
        str, BeforeValidator(as_written), AfterValidator(_repository), WithJsonSchema({"type": "string"})
    ] = Field(description="`owner/name`; on GitLab with all its groups.")
    token: Secret = Field(description="A token that may set commit statuses.")

    @model_validator(mode="after")
    def _knows_where(self) -> Self:
        if self.forge == "gitea" and self.api is None:
            raise refused("needs the address of its API", "such as `https://git.example.com/api/v1`", at=("api",))
        return self


class Notify(Model):
    """Notifications and commit statuses.

    The daemon takes this section from the deploy.yaml that it was started with, never from a commit, and so does
    `--once` from the one that it was given: it names environment variables and files of the controller, and where their
    content is sent. Whoever may commit could read any of them otherwise, or silence the alarm of the next commit.
    """

    urls: Secret | None = Field(
        None,
        description="Where the Apprise URLs are: one on a line, `#` begins a comment. They hold tokens, so they don't"
        " stand here. Left out: nobody is told.",
    )
    events: Listing[EventName] = Field(tuple(Event), description="What is told; left out: everything.")
    grace: PositiveDuration = Field(
        120.0,
        description="How long a target may be out of reach, a pass may fail, or the source or the remote of the records"
        " may be away until it is told (a duration).",
    )
    commit_status: CommitStatus | None = Field(None, description="Where commits get a status; left out: nowhere.")

    @property
    def is_wanted(self) -> bool:
        """Whether there is anybody to tell."""
        return self.urls is not None or self.commit_status is not None
