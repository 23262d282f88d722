"""Releases that lie on the target without their values (`env.delivery: runtime`): the model with the values in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.core.env_diff import fingerprints
from reconciler.core.withhold import filled, recalled
from reconciler.cycle.context import TargetContext
from reconciler.cycle.desired import compose_file
from reconciler.model.errors import PreflightFailed
from reconciler.model.stored import Manifest

NOTE = (
    "env.delivery is runtime: this server can't go back or start the app anew by itself (P8): that needs a controller"
    " that holds the values"
)


def model_of(ctx: TargetContext, manifest: Manifest) -> bytes | None:
    """The Compose file of a release as Compose gets it; None where it lies on the target whole.

    Its values are today's where they are the release's, and else those that its containers had. A value that is in
    neither place is replaced by today's, which is said. Raises PreflightFailed where a key has no value any more.
    """
    if not manifest.runtime:
        return None
    model = _model(ctx, manifest.release)
    values, other = _values(ctx, manifest)
    if other:
        ctx.say(f"the values that {manifest.release} had for {', '.join(other)} are gone: it gets today's")
    return compose_file(filled(model, values))


def remember_values(ctx: TargetContext, manifest: Manifest | None) -> None:
    """Reads the values of what serves off its containers while they are there, so that a revert has them."""
    if manifest is None or not manifest.runtime:
        return
    model = _model(ctx, manifest.release)
    key = ctx.host.observe().key or b""
    found = recalled(model, ctx.engine.environments(ctx.project), key=key, known=manifest.fingerprints)
    ctx.mask.know(found)
    ctx.recalled[manifest.release] = found


def not_as_it_was(ctx: TargetContext, manifest: Manifest) -> tuple[str, ...]:
    """The keys whose values a revert to this release would have to take from today. Raises PreflightFailed."""
    if not manifest.runtime:
        return ()
    values, other = _values(ctx, manifest)
    filled(_model(ctx, manifest.release), values)
    return other


def _values(ctx: TargetContext, manifest: Manifest) -> tuple[dict[str, str], tuple[str, ...]]:
    key = ctx.host.observe().key or b""
    today, kept = ctx.values, ctx.recalled.get(manifest.release, {})
    proved = fingerprints(key, today)
    right = {name: value for name, value in today.items() if proved.get(name) == manifest.fingerprints.get(name)}
    values = {**today, **kept, **right}
    return values, tuple(sorted(set(manifest.fingerprints) - right.keys() - kept.keys()))


def _model(ctx: TargetContext, release: str) -> Mapping[str, Any]:
    bundle = ctx.host.read_release(release)
    model = bundle.model if bundle else None
    if model is None:
        raise PreflightFailed(f"{ctx.name}: releases/{release} is not whole on the target")
    return model
