"""Taking over what already runs: saved as a restorable release first, then proved; nothing is recreated.

The adopted release is made from the files that the containers were started from, by the same rules as any other, with
the images that run. So a desired state that says the same changes nothing, and one that says something else has a way
back to what was there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from reconciler.core import digest, history
from reconciler.core.file_audit import strangers
from reconciler.core.render import image_references, self_contained
from reconciler.cycle import compose_policy
from reconciler.cycle.context import TargetContext
from reconciler.cycle.desired import bundled
from reconciler.cycle.lock import held
from reconciler.cycle.result import PassResult
from reconciler.cycle.run import begin
from reconciler.cycle.state import refuse_foreign
from reconciler.cycle.upkeep import ensure_room, tidy, with_completed
from reconciler.cycle.verify import verify
from reconciler.model.errors import ExitCode, NotOurs
from reconciler.model.measure import VerdictKind
from reconciler.model.observed import ContainerFacts, HostView
from reconciler.model.record import RecordKind
from reconciler.model.release import Bundle, Rendering
from reconciler.model.sources import SourceTree
from reconciler.model.stored import TargetState

_TAG = re.compile(r"\d{8}_\d{6}")


def adopt(ctx: TargetContext) -> PassResult:
    """Adopts the app that runs in `deploy_dir`. Raises NotOurs where that isn't possible, saying why.

    What was on disk in the way is moved to `.reconciler/adopted/`, never deleted; a mounted file stays where it is.
    """
    if ctx.host.observe().state is None:
        _definitions(ctx, _containers(ctx))  # refused before anything is made in a directory of somebody else
    with held(ctx, "adoption", takeover=True) as view:
        if view.state is not None:
            refuse_foreign(ctx, view)
            if view.state.serving:
                return _already(ctx, view.state)
        return _adopt(ctx, view)


def _adopt(ctx: TargetContext, view: HostView) -> PassResult:
    containers = _containers(ctx)
    rendering = _definitions(ctx, containers)
    key = view.key or ctx.host.observe().key
    if key is None:
        raise NotOurs(f"{ctx.name}: the target has no key yet; run `reconcile adopt` again")
    bundle = _saved(ctx, rendering, containers, key)
    manifest = bundle.manifest
    ensure_room(ctx, view, bundle)
    sealed = {manifest.release: ctx.host.install(bundle)}
    state = view.state or ctx.fresh_state()
    run = begin(ctx, RecordKind.ADOPT, state, tag=manifest.tag, manifest=manifest)
    now = ctx.clock.now()
    state = history.switched(state, entering=manifest.release, tag=manifest.tag, now=now)
    known = {c.id: manifest.services[c.service].digest for c in containers if c.service in manifest.services}
    state = state.model_copy(
        update={
            "accepted": known,
            "open": run.opened(manifest.release),
            "seals": {**state.seals, **sealed},
            "tolerated": strangers(view),
        }
    )
    ctx.host.switch(state, manifest.release)
    state = with_completed(ctx, state, manifest)
    with run.timed("verify"):
        verification = verify(ctx, manifest, history.subject(state, manifest.release, manifest.tag, since=now))
    run.judged.append(verification)
    run.verdict = verification.verdict.kind.value
    notes = compose_policy.shown(ctx, rendering, tag=manifest.tag)
    if verification.verdict.kind is VerdictKind.GO:
        state = history.concluded(state, history.Outcome.VERIFIED, release=manifest.release, now=ctx.clock.now())
        text = f"adopted {manifest.release}: nothing was recreated; it is verified, and the way back from here on"
        kept = tidy(ctx, state, manifest)
        return replace(run.finish(kept, exit_code=ExitCode.OK, result="adopted", reason=text), notes=notes)
    state = history.concluded(state, history.Outcome.HELD, release=manifest.release, now=ctx.clock.now())
    text = f"adopted {manifest.release} as it runs, and not verified: {verification.verdict.reason}"
    kept = tidy(ctx, state, manifest)
    return replace(run.finish(kept, exit_code=ExitCode.HELD, result="held", reason=text), notes=notes)


def _containers(ctx: TargetContext) -> list[ContainerFacts]:
    return [container for container in ctx.engine.containers(ctx.project, details=True) if not container.one_off]


def _definitions(ctx: TargetContext, containers: list[ContainerFacts]) -> Rendering:
    where, directory = ctx.name, ctx.target.deploy_dir
    if not containers:
        raise NotOurs(f"{where}: the Compose project {ctx.project} has no containers, so there is nothing to adopt")
    origin = ctx.engine.origin(ctx.project)
    if origin is None:
        raise NotOurs(f"{where}: the containers of {ctx.project} weren't started by one `docker compose up`")
    if PurePosixPath(origin.working_dir) != directory:
        raise NotOurs(
            f"{where}: {ctx.project} runs from {origin.working_dir}, and deploy_dir is {directory}: its data would stay"
            f" behind; set deploy_dir: {origin.working_dir}"
        )
    return ctx.host.render_here(origin.config_files)


def _saved(ctx: TargetContext, rendering: Rendering, containers: list[ContainerFacts], key: bytes) -> Bundle:
    _refuse_stray_mounts(ctx, rendering)
    ctx.mask.learn(_env_file(ctx))
    files = ctx.host.fetch(sorted(_mounted_files(ctx, rendering)))
    tree = SourceTree(root=PurePosixPath("."), files=files, compose=(PurePosixPath("compose.yaml"),))
    images = _running_images(ctx, rendering, containers)
    content = self_contained(rendering, tree, ctx.place(key), tag="adopted", images=images, env={})
    tag = _tag(ctx, images)
    public = digest.plain({"tag": tag, "files": [[str(file.path), file.digest] for file in files]})
    return bundled(ctx, content, tag=tag, public=public, env=_env_file(ctx), adopted=True)


def _env_file(ctx: TargetContext) -> bytes:
    found = [file.data for file in ctx.host.fetch([".env"])]
    return found[0] if found else b""


def _inside(ctx: TargetContext, source: str) -> PurePosixPath | None:
    path = PurePosixPath(source)
    return path.relative_to(ctx.target.deploy_dir) if path.is_relative_to(ctx.target.deploy_dir) else None


def _binds(model: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    return [
        (name, volume)
        for name, service in model["services"].items()
        for volume in service.get("volumes") or ()
        if volume.get("type") == "bind"
    ]


def _is_writable(ctx: TargetContext, path: PurePosixPath) -> bool:
    return any(path.is_relative_to(area) for area in ctx.deploy.writable)


def _refuse_stray_mounts(ctx: TargetContext, rendering: Rendering) -> None:
    for name, volume in _binds(rendering.model):
        path = _inside(ctx, volume["source"])
        if path is not None and not _is_writable(ctx, path) and not volume.get("read_only"):
            raise NotOurs(
                f"{ctx.name}: service {name} mounts ./{path} read-write, and it isn't in writable: in deploy.yaml;"
                " add it there (it is data), or mount it read-only (it is configuration)"
            )


def _mounted_files(ctx: TargetContext, rendering: Rendering) -> set[str]:
    sources = [volume["source"] for _, volume in _binds(rendering.model)]
    for kind in ("configs", "secrets"):
        sources += [item["file"] for item in rendering.model.get(kind, {}).values() if "file" in item]
    inside = [_inside(ctx, source) for source in sources]
    return {str(path) for path in inside if path is not None and not _is_writable(ctx, path)}


def _running_images(ctx: TargetContext, rendering: Rendering, containers: list[ContainerFacts]) -> dict[str, str]:
    """What runs, not what the tags mean by now."""
    running = {container.service: container.image_id for container in containers}
    images = {}
    for reference in image_references(rendering):
        users = [name for name, service in rendering.model["services"].items() if service["image"] == reference]
        ids = {running[name] for name in users if name in running}
        if len(ids) > 1:
            raise NotOurs(
                f"{ctx.name}: {', '.join(users)} run different images of {reference}: `docker compose up -d` first"
            )
        found = next(iter(ids), None) or ctx.engine.image_id(reference)
        if found is None:
            raise NotOurs(f"{ctx.name}: image {reference} isn't on the target, and {', '.join(users)} doesn't run")
        images[reference] = found
    return images


def _tag(ctx: TargetContext, images: Mapping[str, str]) -> str:
    """The tag of what runs, if it has one of ours; else the time of the adoption serves as its name."""
    tags = {reference.rpartition(":")[2] for reference in images}
    ours = sorted(tag for tag in tags if _TAG.fullmatch(tag))
    return ours[-1] if ours else f"{ctx.clock.now():%Y%m%d_%H%M%S}"


def _already(ctx: TargetContext, state: TargetState) -> PassResult:
    return PassResult(
        target=ctx.name,
        exit_code=ExitCode.OK,
        result="in_sync",
        message=f"{ctx.deploy.app} is managed here already: {state.serving} serves",
        tag=ctx.deploy.tag,
        serving=state.serving,
        state=state,
    )
