"""One operation on one target, from its first moment to a result that can be shown, whatever happens."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from reconciler.cycle.context import Interrupted, TargetContext
from reconciler.cycle.result import PassResult
from reconciler.model.errors import CommandFailed, ExitCode, ReconcilerError, UsageError

Operation = Callable[[TargetContext], PassResult]


def carry_out(operation: Operation, ctx: TargetContext) -> PassResult:
    """What `operation` came to on this target, also where it failed: one that does holds up no other target.

    Raises UsageError, which is about no target.
    """
    started = time.monotonic()
    try:
        result = operation(ctx)
        result.durations.setdefault("pass", round(time.monotonic() - started, 3))
        if ctx.guard.told:
            result = replace(result, notes=(ctx.guard.told, *result.notes), alone=ctx.guard.ended)
        return replace(result, lease=ctx.guard.mode)
    except Interrupted:
        code, word, text = _interrupted(ctx)
    except UsageError:
        raise
    except CommandFailed as error:
        # Ctrl-C in a terminal reaches a script on this machine, too, until it has a session of its own.
        if not ctx.interrupted():
            code, word, text = error.exit_code, "failed", _said_once(ctx.name, ctx.mask.text(str(error)))
        else:
            code, word, text = _interrupted(ctx)
    except ReconcilerError as error:
        code, text = error.exit_code, _said_once(ctx.name, ctx.mask.text(str(error)))
        word = "unreachable" if code is ExitCode.UNREACHABLE else _word(code)
    return PassResult(
        target=ctx.name,
        exit_code=code,
        result=word,
        message=text,
        tag=ctx.deploy.tag,
        durations={"pass": round(time.monotonic() - started, 3)},
        lease=ctx.guard.mode,
    )


def _interrupted(ctx: TargetContext) -> tuple[ExitCode, str, str]:
    return ExitCode.ERROR, "failed", f"{ctx.interrupted.why} before anything that runs was changed"


def _said_once(name: str, text: str) -> str:
    """An error's text without the target's name, which is shown in front of it: `name: …` or `name (address): …`."""
    address, closed, rest = text.removeprefix(f"{name} (").partition("): ")
    if text.startswith(f"{name} (") and closed:
        return f"{address}: {rest}"
    return text.removeprefix(f"{name}: ")


def _word(code: ExitCode) -> str:
    return {ExitCode.BLOCKED: "blocked", ExitCode.LOCKED: "locked", ExitCode.REVERT_FAILED: "revert_failed"}.get(
        code, "failed"
    )
