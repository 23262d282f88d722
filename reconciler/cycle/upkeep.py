"""What keeps a way back in existence (P3), and the end of what nothing needs any more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from reconciler.core import history
from reconciler.core.file_audit import left_over
from reconciler.core.repairs import finished
from reconciler.core.retention import prunable
from reconciler.cycle.context import TargetContext
from reconciler.cycle.desired import carries_tag, pull_image
from reconciler.cycle.observe import with_baseline
from reconciler.cycle.runtime import not_as_it_was, remember_values
from reconciler.cycle.state import save_state
from reconciler.model.errors import PreflightFailed, ReconcilerError, TargetUnreachable
from reconciler.model.observed import HostView, Observed
from reconciler.model.release import Bundle
from reconciler.model.stored import Manifest, TargetState

MOST_COMPLETED = 50
"""Definitions of one one-shot that a target remembers as done."""
RESERVE = 16 * 1024 * 1024
"""Bytes that stay free on the file system of `deploy_dir` beyond the release itself: state, records, evidence."""


def ensure_room(ctx: TargetContext, view: HostView, bundle: Bundle | None) -> None:
    """Raises PreflightFailed when the release wouldn't fit, or the disk is over `gates.resources.disk_percent`."""
    if view.disk_free is None or view.disk_size is None:
        return
    content = sum(len(data) for file in bundle.files for _, _, data in file.entries) if bundle else 0
    size = 2 * (len(bundle.compose) + len(bundle.env) + content if bundle else 0) + RESERVE  # and its sealed copy
    where = f"{ctx.name}: {ctx.target.deploy_dir}"
    if view.disk_free < size:
        raise PreflightFailed(
            f"{where} has {view.disk_free // 1024 // 1024} MiB free, and the release needs"
            f" {size // 1024 // 1024 + 1} MiB; nothing was changed"
        )
    limit = ctx.deploy.gates.resources.disk_percent
    used = 100.0 * (view.disk_size - view.disk_free) / view.disk_size if view.disk_size else 0.0
    if limit is not None and used > limit:
        raise PreflightFailed(
            f"{where} is {used:.0f} % full, over the limit of {limit:g} % (gates.resources.disk_percent);"
            " nothing was changed"
        )


def ensure_images(ctx: TargetContext, manifest: Manifest, services: Iterable[str]) -> None:
    """Raises PreflightFailed where an image that these services are about to start from is gone for good.

    A release that is on the target already may have lost its images since: nothing is stopped before they are back.
    """
    for name in services:
        facts = manifest.services[name]
        if ctx.engine.image_id(facts.image_id) is None and not _fetched(ctx, facts.image, facts.image_id):
            raise PreflightFailed(
                f"{ctx.name}: {manifest.release} needs image {facts.image} ({facts.image_id[7:19]}) for {name}, which"
                " is gone from the target and can't be pulled; load it there. Nothing was changed"
            )


def ensure_externals(ctx: TargetContext, manifest: Manifest) -> None:
    """Raises PreflightFailed where an external network or volume isn't there: Compose makes none of them."""
    gone = ctx.engine.missing(networks=manifest.networks, volumes=manifest.volumes)
    if gone:
        raise PreflightFailed(
            f"{ctx.name}: {manifest.release} needs {', '.join(gone)} (external), which isn't there; make it with"
            f" `docker {gone[0].replace(' ', ' create ', 1)}`. Nothing was changed"
        )


def ensure_way_back(
    ctx: TargetContext, view: HostView, state: TargetState, entering: str, *, to: str | None = None
) -> frozenset[str]:
    """The image ids that a revert from `entering` would need (where a person says `to`: that one), after making sure
    that it could be done.

    Raises PreflightFailed naming what is missing: then nothing is touched (P1).
    """
    before = state.serving if state.serving != entering else state.previous
    wanted = {
        to or history.way_back(state, leaving=entering, before=before),
        history.last_good(state, besides=entering),
    }
    images: set[str] = set()
    remember_values(ctx, view.manifest)
    for release in sorted(name for name in wanted if name):
        bundle = ctx.host.read_release(release)
        if bundle is None:
            raise PreflightFailed(
                f"{ctx.name}: the way back {release} is not whole on the target, so nothing is touched;"
                f" put releases/{release} back, or quarantine it with `reconcile rollback --forget {release}`"
            )
        for name, facts in bundle.manifest.services.items():
            if ctx.engine.image_id(facts.image_id) is None and not _fetched(ctx, facts.image, facts.image_id):
                raise PreflightFailed(
                    f"{ctx.name}: the way back {release} needs image {facts.image} ({facts.image_id[7:19]}) for {name},"
                    " which is gone from the target and can't be pulled, so nothing is touched; load it there, or"
                    f" give that way back up with `reconcile rollback --forget {release}`"
                )
            images.add(facts.image_id)
        today = not_as_it_was(ctx, bundle.manifest)
        if today:
            ctx.say(f"going back to {release} would take today's values of {', '.join(today)}")
    return frozenset(images)


def _fetched(ctx: TargetContext, reference: str, image_id: str) -> bool:
    """Whether pulling the reference brings exactly this image back."""
    if ctx.deploy.image.delivery == "present" and carries_tag(ctx, reference):
        return False
    try:
        pull_image(ctx, reference)
    except TargetUnreachable:
        raise
    except ReconcilerError:
        return False
    return ctx.engine.image_id(image_id) is not None


def tidy(ctx: TargetContext, state: TargetState, manifest: Manifest) -> TargetState:
    """After a pass: keepers for what a revert would need, and the end of releases that nothing needs.

    The serving release's images are kept, too, although its containers hold them now: they stop at the next switch, and
    then there is no time to lose; and a person may stop them before a prune.
    Never touches the way back, last good, current, or anything that isn't this app's.
    """
    running = frozenset(
        container.image_id
        for container in ctx.engine.containers(ctx.project, details=False)
        if container.runs and not container.one_off
    )
    needed: set[str] = set()
    # What the pass left is protected while it is open; here it is over.
    for release in sorted(history.protected(state.model_copy(update={"open": None}))):
        kept = manifest if release == manifest.release else _manifest(ctx, release)
        needed |= kept.image_ids() if kept else frozenset()
    lost = {image for image in needed - set(state.kept) if ctx.engine.image_id(image) is None}
    if lost:  # of a release that nobody held so far, and that is a way back only by now
        ctx.say(f"{len(lost)} images of an earlier release are gone from the target: no way back leads there")
    images, before = frozenset(needed - lost), state.kept
    state = with_baseline(ctx, state.model_copy(update={"kept": tuple(sorted(images))}), manifest)
    view = ctx.host.observe(files=False)
    gone = prunable(state, view.releases, keep=ctx.deploy.retention.releases)
    left = left_over(view, state)
    state = history.forgotten(state, gone=frozenset(gone))
    if gone or left or not images >= set(before):
        # Nothing goes while the state on the disk still counts on it: a crash from here on finds one that doesn't.
        ctx.engine.add_keepers(ctx.project, ctx.deploy.app, images)
        save_state(ctx, state)
    ctx.engine.keep(ctx.project, ctx.deploy.app, images)
    if gone or left:
        _prune(ctx, view.releases, gone, left, running)
    return state


def with_completed(ctx: TargetContext, state: TargetState, manifest: Manifest) -> TargetState:
    """The state that knows which one-shots have succeeded, and has forgotten adopted containers that are gone."""
    containers = ctx.engine.containers(ctx.project, details=True)
    present = {container.id for container in containers}
    observed = Observed(host=HostView(ours=True, state=state), containers=containers)
    done = {
        name: (*(known for known in state.completed.get(name, ()) if known != facts.digest), facts.digest)[
            -MOST_COMPLETED:
        ]
        for name, facts in manifest.services.items()
        if facts.one_shot and finished(name, facts, observed)
    }
    accepted = {name: digest for name, digest in state.accepted.items() if name in present}
    return state.model_copy(update={"completed": {**state.completed, **done}, "accepted": accepted})


def _prune(
    ctx: TargetContext, present: Sequence[str], gone: Sequence[str], left: Sequence[str], running: frozenset[str]
) -> None:
    leaving = [found for found in (_manifest(ctx, release) for release in gone) if found]
    staying = [found for found in (_manifest(ctx, name) for name in present if name not in gone) if found]
    used = {sha for manifest in staying for sha in manifest.files}
    files = sorted({sha for manifest in leaving for sha in manifest.files} - used)
    held = running | {image for manifest in staying for image in manifest.image_ids()}
    # The images first: when this dies in between, the release still says to the next pass which they are.
    for image in sorted({image for manifest in leaving for image in manifest.image_ids()} - held):
        ctx.engine.remove_image(image)
    ctx.host.prune((*gone, *left), files)


def _manifest(ctx: TargetContext, release: str) -> Manifest | None:
    bundle = ctx.host.read_release(release)
    return bundle.manifest if bundle else None
