"""From sources to the desired release: known by the digest of its sources, or rendered by the target's own Compose."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from reconciler.core import digest
from reconciler.core.render import (
    Place,
    SelfContained,
    ensure_self_contained,
    external,
    image_references,
    self_contained,
)
from reconciler.cycle import compose_policy
from reconciler.cycle.context import TargetContext
from reconciler.dataclass import dataclass
from reconciler.model.errors import PreflightFailed
from reconciler.model.observed import HostView
from reconciler.model.plan import Pull
from reconciler.model.release import Bundle, Rendering
from reconciler.model.sources import SourceTree
from reconciler.model.stored import Manifest, PolicyCheck, TargetState

RENDERER = 1
"""Raise it when rendering changes, so that no digest of sources stands for an outdated release."""

MOST_KNOWN = 50
"""Renderings that a target remembers."""

_ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Desired:
    """The release that the desired state asks for.

    `bundle` is None where the release is known already and lies on the target, or is quarantined; `manifest` is None
    only for a quarantined one whose files are gone. `pulls` are images that the target lacks: then
    `release` isn't final. `checked` is what the Compose policy says of it; None where nothing is switched to.
    """

    release: str
    source: str
    manifest: Manifest | None
    bundle: Bundle | None = None
    pulls: tuple[Pull, ...] = ()
    checked: PolicyCheck | None = None

    @property
    def is_final(self) -> bool:
        """Whether the release's id is known for sure."""
        return not self.pulls


def source_digest(ctx: TargetContext, key: bytes, tree: SourceTree) -> str:
    """A keyed digest over everything that a rendering depends on."""
    return digest.keyed(
        key,
        {
            "renderer": RENDERER,
            "tag": ctx.deploy.tag,
            "app": ctx.deploy.app,
            "project": ctx.project,
            "deploy_dir": str(ctx.target.deploy_dir),
            "writable": [str(path) for path in ctx.deploy.writable],
            "compose": [str(path) for path in tree.compose],
            "files": digest.tree((str(file.path), file.mode, file.data) for file in tree.files),
            "env": ctx.values,
            "keeps_values": ctx.keeps_values,
        },
    )


def public_digest(ctx: TargetContext, tree: SourceTree) -> str:
    """An unkeyed digest of what isn't a value: the tag and the files."""
    return digest.plain({"tag": ctx.deploy.tag, "files": [[str(f.path), f.mode, f.digest] for f in tree.files]})


def resolve(
    ctx: TargetContext,
    view: HostView,
    state: TargetState,
    *,
    key: bytes,
    pull: bool,
    images: Mapping[str, str] | None = None,
) -> Desired:
    """The desired release; nothing that runs is touched. With `pull` its images are on the target afterwards.

    Where `images` (reference → id) is given, no other may be used, and none is looked for.
    Raises PreflightFailed or TargetUnfit where the desired state can't become a release.
    """
    tree = ctx.sources()
    source = source_digest(ctx, key, tree)
    known = state.sources.get(source)
    if known is not None:
        checked = None if known in state.quarantine else _checked(ctx, tree, source, state)
        if view.manifest is not None and view.manifest.release == known:
            return Desired(known, source, view.manifest, checked=checked)
        bundle = ctx.host.read_release(known)
        if bundle is not None:
            return Desired(known, source, bundle.manifest, checked=checked)
        if known in state.quarantine:
            return Desired(known, source, None)
    return _rendered(ctx, tree, source, key=key, pull=pull, fixed=images)


def remember(state: TargetState, desired: Desired) -> TargetState:
    """The state that knows what these sources render to; a deliberately short memory."""
    checked = desired.checked or state.checked
    if state.sources.get(desired.source) == desired.release and state.checked == checked:
        return state
    recent = dict(list(state.sources.items())[-MOST_KNOWN + 1 :])
    return state.model_copy(update={"sources": {**recent, desired.source: desired.release}, "checked": checked})


def _checked(ctx: TargetContext, tree: SourceTree, source: str, state: TargetState) -> PolicyCheck:
    """Judged again where the policy isn't the one that judged: by the same rendering, for the same release."""
    if state.checked and (state.checked.source, state.checked.policy) == (source, compose_policy.policy_digest(ctx)):
        return state.checked
    return compose_policy.check(ctx, _rendering(ctx, tree), source)


def _rendering(ctx: TargetContext, tree: SourceTree) -> Rendering:
    try:
        return ctx.host.render(tree, ctx.delivered(ctx.deploy.tag), ctx.deploy.tag)
    except PreflightFailed as error:
        raise PreflightFailed(ctx.mask.quoted(str(error))) from None  # Compose quotes pieces of values


def _rendered(
    ctx: TargetContext, tree: SourceTree, source: str, *, key: bytes, pull: bool, fixed: Mapping[str, str] | None
) -> Desired:
    rendering = _rendering(ctx, tree)
    place = ctx.place(key)
    ensure_self_contained(rendering, tree, place)  # first: its reasons are more exact than the policy's
    checked = compose_policy.check(ctx, rendering, source)
    references = image_references(rendering)
    images, pulls = _images(ctx, references, pull=pull) if fixed is None else (_known(references, fixed), [])
    content = self_contained(rendering, tree, place, tag=ctx.deploy.tag, images=images, env=ctx.values)
    bundle = bundled(
        ctx,
        content,
        tag=ctx.deploy.tag,
        public=public_digest(ctx, tree),
        env=ctx.delivered(ctx.deploy.tag),
        place=place,
        inactive=rendering.inactive,
    )
    return Desired(bundle.manifest.release, source, bundle.manifest, bundle, tuple(pulls), checked)


def bundled(
    ctx: TargetContext,
    content: SelfContained,
    *,
    tag: str,
    public: str,
    env: bytes,
    place: Place | None = None,
    inactive: tuple[str, ...] | None = None,
    adopted: bool = False,
) -> Bundle:
    """A self-contained model as a release of `tag`; `public` is the unkeyed digest of what isn't a value.

    It lies at `place` without its values where that keeps none. Raises PreflightFailed where they can't be withheld.
    """
    runtime = place is not None and not place.keeps_values
    model, known = content.model, {}
    if place is not None and runtime:
        from reconciler.core.env_diff import fingerprints
        from reconciler.core.withhold import withheld

        known = fingerprints(place.key, ctx.values)
        model, env = withheld(model, ctx.secret_values), f"TAG={tag}\n".encode()
    manifest = Manifest(
        release=digest.release_id(tag, content.digest),
        tag=tag,
        app=ctx.deploy.app,
        project=ctx.project,
        digest=content.digest,
        public_digest=public,
        created_at=ctx.clock.now(),
        commit=None if adopted else ctx.commit(),
        services=content.services,
        files=tuple(file.sha256 for file in content.files),
        networks=external(content.model, "networks"),
        volumes=external(content.model, "volumes"),
        adopted=adopted,
        inactive=inactive,
        runtime=runtime,
        fingerprints=known,
    )
    return Bundle(manifest=manifest, compose=compose_file(model), env=env, files=content.files)


def changes_from(ctx: TargetContext, leaving: str | None, desired: Desired) -> tuple[str, ...]:
    """The fields in which a new release differs from `leaving`, masked; none for a release known already."""
    if desired.bundle is None:
        return ()
    from reconciler.core.diff import field_changes  # deepdiff takes 0.15 s to import: only where something changes

    before = ctx.host.read_release(leaving) if leaving else None
    if before is not None and before.model is None:
        return ()  # somebody edited it: what it was can't be told
    return field_changes(before.model if before else None, desired.bundle.model or {}, ctx.mask.text)


def compose_file(model: Mapping[str, Any]) -> bytes:
    """The model as a Compose file: JSON, which is YAML in which every string is quoted (no `0o17` becomes a number)."""
    text = json.dumps(model, indent=2, ensure_ascii=False)
    return _ESCAPED.sub(lambda match: f"\\u{ord(match[0]):04x}", text).encode() + b"\n"


def _known(references: tuple[str, ...], fixed: Mapping[str, str]) -> dict[str, str]:
    other = [reference for reference in references if reference not in fixed]
    if other:
        raise PreflightFailed(
            f"the new values ask for another image ({other[0]}), and --env-only brings none: run a whole pass"
        )
    return {reference: fixed[reference] for reference in references}


def _images(ctx: TargetContext, references: tuple[str, ...], *, pull: bool) -> tuple[dict[str, str], list[Pull]]:
    found: dict[str, str] = {}
    pulls: list[Pull] = []
    for reference in references:
        image_id = ctx.engine.image_id(reference)
        if image_id is None:
            if carries_tag(ctx, reference) and ctx.deploy.image.delivery == "present":
                raise PreflightFailed(
                    f"image {reference} isn't on target {ctx.name}, and image.delivery is `present`:"
                    " load it there first, or let it be pulled (`registry`)"
                )
            if pull:
                ctx.say(f"pulling {reference}")
                pull_image(ctx, reference)
                image_id = ctx.engine.image_id(reference)
                if image_id is None:
                    raise PreflightFailed(f"image {reference} was pulled to target {ctx.name}, and isn't there")
            else:
                pulls.append(Pull(reference, "the target doesn't have it"))
                image_id = f"{reference} (not pulled yet)"
        found[reference] = image_id
    return found, pulls


def pull_image(ctx: TargetContext, reference: str) -> None:
    """Pulls one image: the app's own with its credentials, others with the login of the target's user."""
    login = ctx.credentials if carries_tag(ctx, reference) else None
    ctx.engine.pull(reference, login, ctx.say, timeout=ctx.deploy.timeouts.pull)


def carries_tag(ctx: TargetContext, reference: str) -> bool:
    """Whether it is one of the images that the release brings along (`image.repository`), and not a third party's."""
    return any(reference.startswith(f"{repository}:") for repository in ctx.deploy.image.repository)
