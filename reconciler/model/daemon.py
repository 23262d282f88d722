"""`git` and `daemon`: what `reconcile run` follows, whom it believes, and where it listens."""

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from reconciler.model.base import Model, as_written, refused, wrong
from reconciler.model.paths import RepoPath
from reconciler.model.quantities import PositiveDuration
from reconciler.model.secret import Secret
from reconciler.model.text import HostAndPort, Line

_BRANCH = re.compile(r"(?!.*(?:\.\.|@\{|//|\.lock(?:/|$)))[A-Za-z0-9_][A-Za-z0-9._/@+-]*(?<![./])", re.ASCII)
_LOGIN_IN_URL = re.compile(r"[a-z+]+://[^/@]*:[^/@]*@")


def _branch(value: str) -> str:
    if not _BRANCH.fullmatch(value) or value == "HEAD":
        raise wrong("the name of a branch", "such as `main`, without `refs/heads/`")
    return value


BranchName = Annotated[
    str, BeforeValidator(as_written), AfterValidator(_branch), WithJsonSchema({"type": "string", "minLength": 1})
]
"""A branch. Source of its form: git-check-ref-format(1), without what needs quoting."""


def _repository_url(value: str) -> str:
    if value.startswith("-"):
        raise wrong("the address of a repository", "an option of git isn't one")
    if value.startswith("ext::"):
        raise refused("would run a program", "name the repository by https://, ssh:// or a path")
    if _LOGIN_IN_URL.match(value):
        raise refused("holds a password", "name its source under `git.token`")
    return value


class Git(Model):
    """The repository that the daemon follows; without `url`, the checkout that it runs in.

    The daemon takes this section from the deploy.yaml that it was started with, never from a commit: whoever may commit
    can't lead it elsewhere.
    """

    url: Annotated[Line, AfterValidator(_repository_url)] | None = Field(
        None, description="The repository's address, as git takes it."
    )
    branch: BranchName = Field("main", description="The branch that is followed.")
    path: RepoPath | None = Field(
        None, description="deploy.yaml's path in the repository; left out: where the one that was started with lies."
    )
    every: PositiveDuration = Field(60.0, description="Time from one fetch to the next (a duration).")
    grace: PositiveDuration = Field(
        600.0, description="How long fetching may fail until the sync status is unknown (a duration)."
    )
    timeout: PositiveDuration = Field(60.0, description="Longest fetch or push (a duration).")
    username: Line = Field("git", description="User name that goes with `token`.")
    token: Secret | None = Field(None, description="Token for https; left out: git's own credential helpers.")
    identity_file: Line | None = Field(
        None, description="Private key for ssh on the controller (`~` works); left out: ~/.ssh/config and the agent."
    )
    require_signed: Line | None = Field(
        None,
        description="File of allowed signers on the controller (ssh-keygen(1), ALLOWED SIGNERS): only commits that one"
        " of them signed are deployed.",
    )


class Webhooks(Model):
    """What forges may send to have the branch fetched at once. Nothing of it is believed."""

    github: Secret | None = Field(None, description="Secret of GitHub's webhook (`X-Hub-Signature-256`).")
    gitlab: Secret | None = Field(None, description="Secret token of GitLab's webhook (`X-Gitlab-Token`).")
    gitea: Secret | None = Field(None, description="Secret of Gitea's or Forgejo's webhook (`X-Gitea-Signature`).")


class Daemon(Model):
    """The daemon's own settings, from the deploy.yaml that it was started with."""

    listen: HostAndPort = Field("127.0.0.1:9464", description="`host:port` of metrics, status page and webhooks.")
    state_dir: Line | None = Field(
        None,
        description="Where it keeps its clone and the records that no remote has yet; left out: $STATE_DIRECTORY, else"
        " ~/.local/state/reconciler/<app>.",
    )
    token: Secret | None = Field(
        None, description="What the status page asks for (a bearer token, or the password of any user)."
    )
    webhooks: Webhooks = Field(default_factory=Webhooks.model_construct, description="Who may ask for a fetch.")
