"""`--env-only`: other values for what serves, and nothing else: no image, no tag, no definition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from reconciler.cycle.context import TargetContext
from reconciler.cycle.desired import public_digest
from reconciler.model.errors import Blocked, PreflightFailed
from reconciler.model.stored import Manifest


def of_what_serves(ctx: TargetContext, serving: Manifest | None) -> tuple[TargetContext, Mapping[str, str]]:
    """The context that asks for what serves with today's values, and its images by reference.

    Raises Blocked where nothing serves, PreflightFailed where the files of the desired state are other ones than those
    of the release that serves: then a pass would bring more than values.
    """
    if serving is None:
        raise Blocked(f"{ctx.name}: nothing serves here, so there are no values to update; run a whole pass")
    ours = replace(ctx, deploy=ctx.deploy.model_copy(update={"tag": serving.tag}))
    if serving.adopted or public_digest(ours, ctx.sources()) != serving.public_digest:
        made = f" (made from commit {serving.commit[:12]})" if serving.commit else ""
        raise PreflightFailed(
            f"{ctx.name}: the Compose files are other ones than those of {serving.release}{made}, which serves:"
            " --env-only would bring more than values; run a whole pass, or check out that commit's files"
        )
    return ours, {facts.image: facts.image_id for facts in serving.services.values()}
