"""`reconcile env check|diff|edit|encrypt`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from reconciler.cli.render import Screen, print_json
from reconciler.core.env_contract import check_env, check_values
from reconciler.core.env_diff import Change, KeyChange
from reconciler.cycle.context import TargetContext
from reconciler.cycle.env_diff import EnvDiff, env_diff
from reconciler.model.env_contract import Finding
from reconciler.model.errors import ExitCode, ReconcilerError, worst
from reconciler.wiring import Desk, values_in

_SIGNS = {Change.ADDED: ("+", "green"), Change.REMOVED: ("-", "red"), Change.CHANGED: ("~", "yellow")}


def run_env(desk: Desk, screen: Screen, command: str, names: Sequence[str], *, as_json: bool) -> int:
    """One of the four. Gives the exit code; raises what is wrong with deploy.yaml or where the values are."""
    match command:
        case "check":
            return check(desk, screen, as_json=as_json)
        case "diff":
            return diff(desk, screen, names, as_json=as_json)
        case "edit":
            return edit(desk, screen, as_json=as_json)
        case _:
            return encrypt(desk, screen, as_json=as_json)


def check(desk: Desk, screen: Screen, *, as_json: bool) -> int:
    """Every finding at once. 1 where one of them is an error, else 0."""
    env = desk.env_desk()
    found = env.material(desk.sources())
    findings = check_env(found.contract, found.given, found.uses, problems=found.problems, unmaskable=env.unmaskable)
    errors = sum(finding.kind.is_error for finding in findings)
    code = ExitCode.ERROR if errors else ExitCode.OK
    if as_json:
        counts = {"errors": errors, "warnings": len(findings) - errors, "exit_code": int(code)}
        print_json({"findings": [_json(desk, finding) for finding in findings], **counts})
        return code
    for finding in findings:
        screen.line(_line(desk, screen, finding))
    if findings:
        screen.line(f"{_count(errors, 'error')}, {_count(len(findings) - errors, 'warning')}")
        return code
    keys = _count(len(found.given.entries), "key")
    held = "as the template says" if found.contract is not None else "no template to hold them to"
    screen.line(f"{found.given.file}: {keys}: {held}, and as Compose uses them")
    return code


def diff(desk: Desk, screen: Screen, names: Sequence[str], *, as_json: bool) -> int:
    """The keys that differ on each target. 2 where some do, 0 where none does; else as the worst error says."""
    with (
        desk.contexts(names, lambda _target, _text: None) as contexts,
        ThreadPoolExecutor(max_workers=desk.deploy.rollout.max_parallel) as pool,
    ):
        found = list(pool.map(_diff_of, contexts))
    if as_json:
        print_json({"targets": [_diff_json(ctx, one) for ctx, one in zip(contexts, found, strict=True)]})
    else:
        for ctx, one in zip(contexts, found, strict=True):
            _show_diff(screen, ctx, one)
    return worst([_code(one) for one in found])


def edit(desk: Desk, screen: Screen, *, as_json: bool) -> int:
    """The encrypted values in the person's editor. Raises EnvError where nothing was changed for a reason."""
    changed = desk.env_desk().edit(check_values, lambda problems: _again(desk, problems))
    file = _values_name(desk)
    if as_json:
        print_json({"file": file, "changed": changed})
    elif changed:
        screen.line(f"{file}: encrypted anew; commit it")
    else:
        screen.line(f"{file}: nothing was changed")
    return ExitCode.OK


def encrypt(desk: Desk, screen: Screen, *, as_json: bool) -> int:
    """The plain values file as an encrypted one beside it. Raises EnvError."""
    made = desk.env_desk().encrypt(check_values)
    if as_json:
        print_json({"file": str(made.file), "recipients": made.recipients, "next": list(made.next_steps)})
        return ExitCode.OK
    screen.line(f"{made.file}: encrypted to {_count(made.recipients, 'recipient')}")
    for step in made.next_steps:
        screen.line(f"  next: {step}")
    return ExitCode.OK


def _line(desk: Desk, screen: Screen, finding: Finding) -> str:
    severity, colour = ("error", "red") if finding.kind.is_error else ("warning", "yellow")
    text = f"{finding.what}; {finding.remedy}" if finding.remedy else finding.what
    return f"{finding.place}: {screen.paint(severity, colour)}: {finding.kind}: {desk.redactor.current.text(text)}"


def _json(desk: Desk, finding: Finding) -> dict[str, object]:
    mask = desk.redactor.current.text
    return {
        "severity": "error" if finding.kind.is_error else "warning",
        "kind": finding.kind.value,
        "key": finding.key,
        "file": finding.file,
        "line": finding.line or None,
        "what": mask(finding.what),
        "do": mask(finding.remedy),
    }


def _diff_of(ctx: TargetContext) -> EnvDiff | ReconcilerError:
    try:
        return env_diff(ctx, values_in)
    except ReconcilerError as error:
        return error


def _code(found: EnvDiff | ReconcilerError) -> ExitCode:
    if isinstance(found, ReconcilerError):
        return found.exit_code
    return ExitCode.OK if found.is_equal else ExitCode.CHANGES_PENDING


def _diff_json(ctx: TargetContext, found: EnvDiff | ReconcilerError) -> dict[str, object]:
    if isinstance(found, ReconcilerError):
        return {"target": ctx.name, "exit_code": int(_code(found)), "error": ctx.mask.text(str(found))}
    return {
        "target": found.target,
        "exit_code": int(_code(found)),
        "release": found.release,
        "note": found.note or None,
        "same": found.comparison.same,
        "changes": [
            {"key": each.key, "change": each.change.value, "local": each.local, "target": each.target}
            for each in found.comparison.changes
        ],
    }


def _show_diff(screen: Screen, ctx: TargetContext, found: EnvDiff | ReconcilerError) -> None:
    name = screen.paint(ctx.name, "bold")
    if isinstance(found, ReconcilerError):
        text = ctx.mask.text(str(found)).removeprefix(f"{ctx.name}: ")
        screen.line(f"{name}: {screen.paint(text, 'red')}")
        return
    changes, same = found.comparison.changes, found.comparison.same
    against = found.release or "nothing"
    if changes:
        differ = _count(len(changes), "key")
        screen.line(f"{name}: {differ} of the values here and of {against} differ; {same} the same")
    else:
        text = f"{_count(same, 'key')}, the same as in {against}"
        screen.line(f"{name}: {screen.paint(text, 'green')}")
    for each in changes:
        screen.line(_change(screen, each))
    if found.note:
        screen.line(f"  note: {found.note}")


def _change(screen: Screen, each: KeyChange) -> str:
    sign, colour = _SIGNS[each.change]
    sides = [f"there {each.target}" if each.target else "", f"here {each.local}" if each.local else ""]
    shown = " → ".join(side for side in sides if side)
    return f"  {screen.paint(sign, colour)} {each.key}  {shown}".rstrip()


def _again(desk: Desk, problems: Sequence[str]) -> bool:
    """Shows what is wrong, and asks whoever sits at the terminal; False where nobody does."""
    for problem in problems:
        print(f"reconcile: {desk.redactor.current.text(problem)}", file=sys.stderr)
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    print("edit again? [Y/n] ", end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline()
    return bool(answer) and answer.strip().lower() in ("", "y", "yes")


def _values_name(desk: Desk) -> str:
    values = desk.deploy.env.values
    return (values.file if values else None) or "env.values"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
