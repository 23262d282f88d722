"""The Compose policy in a pass: judged on what the target's own Compose resolved, and remembered with its sources."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.core import digest
from reconciler.cycle.context import TargetContext
from reconciler.model.errors import PreflightFailed
from reconciler.model.release import Rendering
from reconciler.model.stored import PolicyCheck

if TYPE_CHECKING:
    from reconciler.core.compose_policy import Finding

EDITION = 1
"""Raise it when a rule changes, so that what was judged by the old ones is judged again."""


def policy_digest(ctx: TargetContext) -> str:
    """Over everything that the policy's judgement of one rendering depends on; no value of an env key is in it."""
    policy = ctx.deploy.policy
    return digest.plain(
        {
            "edition": EDITION,
            "rules": policy.rules,
            "allow": sorted([entry.rule, entry.service] for entry in policy.allow),
            "repositories": ctx.deploy.image.repository,
            "docker_socket": ctx.target.docker_socket,
        }
    )


def check(ctx: TargetContext, rendering: Rendering, source: str) -> PolicyCheck:
    """What the policy warns of in the rendering of these sources. Raises PreflightFailed naming what it refuses."""
    from reconciler.core import compose_policy  # a pass with nothing to do judges nothing, and counts its milliseconds

    findings = _findings(ctx, rendering, tag=ctx.deploy.tag)
    if refused := compose_policy.errors(findings):
        raise PreflightFailed(ctx.mask.text(compose_policy.refusal(refused, ctx.deploy.tag)))
    lines = tuple(ctx.mask.text(line) for line in compose_policy.warnings(findings))
    return PolicyCheck(source=source, policy=policy_digest(ctx), warnings=lines)


def shown(ctx: TargetContext, rendering: Rendering, *, tag: str) -> tuple[str, ...]:
    """What the policy finds in something that runs already: told, and in nobody's way."""
    from reconciler.core import compose_policy

    findings = _findings(ctx, rendering, tag=tag)
    told = [f"policy: a release of yours would be refused: {line}" for line in compose_policy.errors(findings)]
    return tuple(ctx.mask.text(line) for line in (*told, *compose_policy.warnings(findings)))


def _findings(ctx: TargetContext, rendering: Rendering, *, tag: str) -> tuple[Finding, ...]:
    from reconciler.core.compose_mounts import Grounds
    from reconciler.core.compose_policy import judge

    return judge(rendering, Grounds.of(ctx.deploy, ctx.name, tag=tag), ctx.deploy.policy)
