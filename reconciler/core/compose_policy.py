"""The Compose policy: what the rules find, less what is allowed by name, at the severity that deploy.yaml says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from reconciler.core.compose_mounts import Grounds
from reconciler.core.compose_rules import find
from reconciler.dataclass import dataclass
from reconciler.model.compose_policy import Allowed, ComposePolicy, Rule
from reconciler.model.release import Rendering


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule found in a service, at which severity, and what to do about it."""

    rule: Rule
    severity: Literal["error", "warning"]
    service: str
    what: str
    fix: str


def judge(rendering: Rendering, grounds: Grounds, policy: ComposePolicy) -> tuple[Finding, ...]:
    """Every finding that counts; an exception that no longer allows anything is a warning of its own."""
    found = find(rendering, grounds)
    allowed = {(entry.rule, entry.service) for entry in policy.allow}
    findings = []
    for each in found:
        severity = policy.severity(each.rule)
        if severity != "off" and (each.rule, each.service) not in allowed:
            what = f"{each.at} {each.what}".lstrip()
            findings.append(Finding(each.rule, severity, each.service, what, each.fix))
    services, used = rendering.model.get("services", {}), {(each.rule, each.service) for each in found}
    inactive = rendering.inactive or ()  # of a profile that is off here: on another target it may be on
    findings += [
        _idle(position, entry, known=entry.service in services)
        for position, entry in enumerate(policy.allow)
        if (entry.rule, entry.service) not in used and entry.service not in inactive
    ]
    return tuple(findings)


def _idle(position: int, entry: Allowed, *, known: bool) -> Finding:
    why = "nothing of it has to be allowed there" if known else "the Compose model has no such service"
    what = f"policy.allow[{position}]: {why}"
    return Finding(Rule(entry.rule), "warning", entry.service, what, "remove it, or it will allow what comes one day")


def errors(findings: Sequence[Finding]) -> tuple[str, ...]:
    """One line for each finding that refuses the release."""
    return tuple(
        f"service {each.service}: {each.what} ({each.rule.value}); {each.fix}"
        for each in findings
        if each.severity == "error"
    )


def warnings(findings: Sequence[Finding]) -> tuple[str, ...]:
    """One line for all warnings of one kind: three services without a memory limit are one note, not three."""
    services: dict[tuple[Rule, str, str], list[str]] = {}
    for each in findings:
        if each.severity == "warning":
            services.setdefault((each.rule, each.what, each.fix), []).append(each.service)
    return tuple(
        f"policy: {', '.join(dict.fromkeys(names))}: {what} ({rule.value}); {fix}"
        for (rule, what, fix), names in services.items()
    )


def refusal(lines: Sequence[str], tag: str) -> str:
    """The one message of a release that the policy refuses."""
    each = lines[0] if len(lines) == 1 else " · ".join(lines)
    return f"the Compose policy refuses tag {tag}: {each}. Or allow it with a reason: docs/policy/README.md"
