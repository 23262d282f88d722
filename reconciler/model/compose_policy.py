"""`policy`: how strictly the resolved Compose model is judged, and what is allowed by name."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from reconciler.model.base import Listing, Model, as_written, refused, wrong
from reconciler.model.text import Line, PlainName

Severity = Literal["error", "warning", "off"]


class Rule(StrEnum):
    """What is looked for in a Compose model. Each has a page: docs/policy/<rule>.md."""

    WRITABLE_BIND = "writable-bind"
    HOST_MOUNT = "host-mount"
    DOCKER_SOCKET = "docker-socket"
    LATEST_IMAGE = "latest-image"
    RELEASE_TAG = "release-tag"
    PRIVILEGED = "privileged"
    ADDED_CAPABILITY = "added-capability"
    HOST_NETWORK = "host-network"
    HOST_PID = "host-pid"
    HOST_NAMESPACE = "host-namespace"
    FOREIGN_CONTAINER = "foreign-container"
    HEALTH_CHECK = "health-check"
    RESTART_POLICY = "restart-policy"
    MEMORY_LIMIT = "memory-limit"


_WANTED = (Rule.FOREIGN_CONTAINER, Rule.HEALTH_CHECK, Rule.RESTART_POLICY, Rule.MEMORY_LIMIT)

DEFAULT_SEVERITY: Mapping[Rule, Severity] = {rule: "warning" if rule in _WANTED else "error" for rule in Rule}
"""An error refuses the release, a warning is a note of each pass."""


def _rule(value: str) -> str:
    if value not in list(Rule):
        import difflib

        meant = difflib.get_close_matches(value[:60], list(Rule), n=1, cutoff=0.55)
        raise wrong("a rule", f"did you mean `{meant[0]}`?" if meant else "docs/policy/ has one page for each rule")
    return value


RuleName = Annotated[
    str,
    BeforeValidator(as_written),
    AfterValidator(_rule),
    WithJsonSchema({"type": "string", "enum": [rule.value for rule in Rule]}),
]


class Allowed(Model):
    """One exception: what a rule finds in one service is accepted, for a reason that is in git."""

    rule: RuleName = Field(description="The rule's name, as in docs/policy/.")
    service: PlainName = Field(description="The service in the Compose file that it is allowed for.")
    reason: Line = Field(description="Why it has to be: for whoever reviews this file.")


class ComposePolicy(Model):
    """The rules for the Compose model that a target's Compose resolved."""

    rules: dict[RuleName, Severity] = Field(
        default_factory=dict,
        description="Rule to severity, where it isn't the default: `error` refuses, `warning` notes, `off` is silent.",
    )
    allow: Listing[Allowed] = Field((), description="Exceptions by rule and service, each with its reason.")

    def severity(self, rule: Rule) -> Severity:
        """How a finding of `rule` is taken."""
        return self.rules.get(rule, DEFAULT_SEVERITY[rule])

    @model_validator(mode="after")
    def _nothing_twice(self) -> Self:
        seen = set()
        for position, allowed in enumerate(self.allow):
            if (allowed.rule, allowed.service) in seen:
                raise refused("is listed twice", "one entry for a rule and a service", at=("allow", position))
            seen.add((allowed.rule, allowed.service))
        return self
