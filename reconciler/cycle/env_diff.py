"""`env diff`: the local values against those of the release that serves. Changes nothing and takes no lock."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from reconciler.core.env_diff import Comparison, all_added, compare, fingerprints
from reconciler.cycle.context import TargetContext
from reconciler.dataclass import dataclass
from reconciler.model.errors import NotOurs, TargetUnfit
from reconciler.model.observed import HostView

ReadEnv = Callable[[bytes], Mapping[str, str] | None]
"""Reads a dotenv file: key to value; None where it can't be read."""


@dataclass(frozen=True, slots=True)
class EnvDiff:
    """One target's answer. `release` is what serves there; `note` says why there is less to see than usual."""

    target: str
    release: str | None
    comparison: Comparison
    note: str = ""

    @property
    def is_equal(self) -> bool:
        """Whether both sides hold the same keys with the same values."""
        return not self.comparison.changes


def env_diff(ctx: TargetContext, read: ReadEnv) -> EnvDiff:
    """Which keys differ. Raises TargetUnreachable, NotOurs, and TargetUnfit for values there that can't be read."""
    view = ctx.host.observe()
    ctx.mask.learn(view.env)
    if view.foreign:
        raise NotOurs(
            f"{ctx.name}: {ctx.target.deploy_dir} has something that isn't ours ({', '.join(view.foreign[:5])}):"
            " there is no release to compare with; `reconcile adopt` takes it over"
        )
    if view.key is None:
        note = "the target has no key yet: nothing was deployed to it, and no fingerprint can be made"
        return EnvDiff(ctx.name, None, all_added(ctx.env.keys()), note)
    local = fingerprints(view.key, {entry.key: entry.value.get_secret_value() for entry in ctx.env.entries})
    if view.current is None:
        return EnvDiff(ctx.name, None, compare(local, {}), "no release serves on the target")
    return EnvDiff(ctx.name, view.current, compare(local, _of_target(ctx, view, view.key, read)))


def _of_target(ctx: TargetContext, view: HostView, key: bytes, read: ReadEnv) -> Mapping[str, str]:
    """The fingerprints of the release that serves; where its values aren't on the disk, its manifest has them."""
    if view.manifest is not None and view.manifest.runtime:
        return view.manifest.fingerprints
    values = read(view.env)
    if values is None:
        raise TargetUnfit(f"{ctx.name}: the .env of release {view.current} can't be read: somebody edited it")
    return fingerprints(key, values)
