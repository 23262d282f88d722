"""What is told, and what is remembered of it so that it is told once. JSON, as it lies with the controller."""

from datetime import datetime

from pydantic import Field

from reconciler.model.notify import CommitState, Event
from reconciler.model.stored import FORMAT, Stored


class Notice(Stored):
    """Something to tell: one line, and what belongs to it. Masked."""

    event: Event
    at: datetime
    title: str
    body: str


class Standing(Stored):
    """How a target stood when it was told of last.

    `proof` is how far what serves had proved itself: ``, `held`, `verified` or `stable`. `quarantined` and `episodes`
    are `<release or drift>@<run>`, so that the same thing happening again later is another. `stuck` is what a revert
    failed to leave.
    """

    release: str | None = None
    proof: str = ""
    quarantined: tuple[str, ...] = ()
    episodes: tuple[str, ...] = ()
    stuck: str = ""


class Trouble(Stored):
    """Something that lasts. `about` tells it from the next of its kind (the tag that a failing pass was asked for)."""

    event: Event
    where: str = ""
    about: str = ""
    why: str
    since: datetime
    told: bool = False


class Book(Stored):
    """Everything that was told, by target and by trouble, and what waits to be sent: a list for each URL."""

    version: int = FORMAT
    standings: dict[str, Standing] = Field(default_factory=dict)
    troubles: dict[str, Trouble] = Field(default_factory=dict)
    waiting: tuple[tuple[Notice, ...], ...] = ()


class Commit(Stored):
    """A commit that was desired: its release's tag, the status that it has got, and what each target made of it."""

    tag: str
    state: CommitState = CommitState.PENDING
    verdicts: dict[str, CommitState] = Field(default_factory=dict)


class CommitMark(Stored):
    """A status that a commit is to get; `at` is when it came to it, `text` one line."""

    commit: str
    state: CommitState
    text: str
    at: datetime


class CommitBook(Stored):
    """The last desired commits, oldest first, and the marks that wait to be set."""

    version: int = FORMAT
    commits: dict[str, Commit] = Field(default_factory=dict)
    waiting: tuple[CommitMark, ...] = ()
