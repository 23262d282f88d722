"""`reconcile validate`: the desired state alone, and its Compose model where this machine can resolve one."""

from __future__ import annotations

from reconciler.cli.render import Screen, print_json
from reconciler.core.compose_mounts import Grounds
from reconciler.core.compose_policy import errors, judge, refusal, warnings
from reconciler.core.render import Place, ensure_self_contained
from reconciler.dataclass import dataclass
from reconciler.model.env import EnvValues
from reconciler.model.errors import ExitCode, PreflightFailed, TargetUnfit
from reconciler.model.sources import SourceTree
from reconciler.wiring import Desk


@dataclass(frozen=True, slots=True)
class _Model:
    """What is known here of the Compose model: what its policy warns of, or why nothing was checked."""

    warnings: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()


def validate(desk: Desk, screen: Screen, *, as_json: bool) -> int:
    """deploy.yaml, its sources, its env values, and its model. Raises what is wrong with them."""
    desk.windows()
    tree = desk.sources()
    env = desk.env()
    model = _model(desk, tree, env)
    noted = [*env.warnings, *model.warnings]
    if as_json:
        print_json({"valid": True, "files": len(tree.files), "warnings": noted, "unchecked": list(model.unchecked)})
        return ExitCode.OK
    deploy = desk.deploy
    screen.line(f"{desk.file}: valid: {deploy.app} {deploy.tag} on {', '.join(deploy.targets)}")
    screen.line(f"  {_count(len(tree.files), 'source file')}, {_count(len(env.entries), 'env key')}")
    for warning in noted:
        screen.line(f"  warning: {warning}")
    for unchecked in model.unchecked:
        screen.line(f"  not checked: {unchecked}")
    return ExitCode.OK


def _model(desk: Desk, tree: SourceTree, env: EnvValues) -> _Model:
    """Judged for each target: they may differ in deploy_dir and in the engine's socket."""
    try:
        rendering = desk.render_here(tree, env)
    except TargetUnfit as unfit:
        why = f"the Compose model and its policy ({unfit}): `reconcile plan` checks them on the target"
        return _Model(unchecked=(why,))
    deploy, mask = desk.deploy, desk.redactor.current
    for name, target in deploy.targets.items():
        place = Place(target.deploy_dir, deploy.app, deploy.project_of(name), deploy.writable, key=bytes(32))
        ensure_self_contained(rendering, tree, place)
    judged = [judge(rendering, Grounds.of(deploy, name, tag=deploy.tag), deploy.policy) for name in deploy.targets]
    refused = list(dict.fromkeys(line for findings in judged for line in errors(findings)))
    if refused:
        raise PreflightFailed(refusal(refused, deploy.tag))
    lines = dict.fromkeys(mask.text(line) for findings in judged for line in warnings(findings))
    return _Model(warnings=tuple(lines))


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
