"""`reconcile`: parse, call, render, exit code."""

from __future__ import annotations

import os
import signal
import sys
from argparse import Namespace
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from reconciler.cli.parser import parser
from reconciler.cli.render import Screen, print_json, result_json, show_plans, show_results
from reconciler.cycle.carry_out import Operation, carry_out
from reconciler.cycle.result import PassResult
from reconciler.model.errors import ExitCode, ReconcilerError, UsageError, worst
from reconciler.telemetry.log import RedactorHolder, configure
from reconciler.wiring import Desk, Interrupt


def main(argv: Sequence[str] | None = None) -> int:
    """The console script. Gives the exit code; every failure is one line on standard error."""
    # No plugin of somebody's sees what we validate; looking for one reads every installed package's metadata (16 ms).
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"
    holder, interrupt = RedactorHolder(), Interrupt()
    debug = False
    try:
        grammar = parser()
        args = grammar.parse_args(argv)
        debug = getattr(args, "log_level", None) == "debug"
        _logging(args, holder)
        if not args.command and not args.once:
            if args.dry_run or args.env_only:
                raise UsageError(f"{'--dry-run' if args.dry_run else '--env-only'} goes with --once")
            grammar.print_help()
            return ExitCode.OK
        if args.command and args.once:
            raise UsageError(f"--once and `{args.command}` exclude each other")
        if args.command != "run":
            _catch_signals(interrupt)
        return _dispatch(args, holder, interrupt)
    except ReconcilerError as error:
        print(f"reconcile: {holder.current.text(str(error))}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.ERROR
    except Exception as error:
        if debug:
            raise
        said = holder.current.text(f"{type(error).__name__}: {error}")
        print(f"reconcile: a defect of this program: {said}; --log-level debug shows where", file=sys.stderr)
        return ExitCode.ERROR


def _dispatch(args: Namespace, holder: RedactorHolder, interrupt: Interrupt) -> int:
    desk = Desk.open(getattr(args, "file", Path("deploy.yaml")), holder, interrupt)
    json_wanted = getattr(args, "output", "text") == "json"
    names = _targets(args, desk)
    screen = Screen(sys.stdout, colour=not getattr(args, "no_color", False))
    match args.command:
        case "run":
            from reconciler.cli.run_command import run

            return run(desk, interrupt, accept=args.accept)
        case "validate":
            from reconciler.cli.validate_command import validate

            return validate(desk, screen, as_json=json_wanted)
        case "history":
            from reconciler.cli.desk_commands import show_history

            return show_history(desk, screen, as_json=json_wanted)
        case "show":
            from reconciler.cli.desk_commands import show_record

            return show_record(desk, screen, args.run, as_json=json_wanted)
        case "replay":
            from reconciler.cli.replay_command import replay_record

            return replay_record(desk, screen, args.run, as_json=json_wanted)
        case "env":
            from reconciler.cli.env_commands import run_env

            return run_env(desk, screen, args.env_command, names, as_json=json_wanted)
        case "status":
            from reconciler.cli.status_command import show_status

            return show_status(desk, screen, names, as_json=json_wanted)
    metrics_file: Path | None = getattr(args, "metrics_file", None)
    if metrics_file is not None and (metrics_file.is_dir() or not metrics_file.parent.is_dir()):
        raise UsageError(f"--metrics-file {metrics_file}: not a file in a directory that exists")
    trusted_ref = getattr(args, "trusted_ref", None)
    results = _run_trusted(args, desk, names, trusted_ref) if trusted_ref else _run(args, desk, names)
    plans = args.command in {"plan", "audit"} or (args.once and args.dry_run)
    if not plans and (desk.deploy.records.push or desk.deploy.rollback.write_back):
        from reconciler.wiring.outbox import push_from_checkout

        push_from_checkout(desk, results)
    if json_wanted:
        print_json({"targets": [result_json(result) for result in results], "exit_code": int(_worst(results))})
    else:
        (show_plans if plans else show_results)(screen, results)
    if args.once and not plans and desk.deploy.notify.is_wanted:
        from reconciler.wiring.notify import tell_once

        tell_once(desk, results)
    if metrics_file is None or _write_metrics(metrics_file, desk, results, by_hand=args.command == "rollback"):
        return _worst(results)
    return worst([_worst(results), ExitCode.ERROR])


def _write_metrics(file: Path, desk: Desk, results: Sequence[PassResult], *, by_hand: bool) -> bool:
    from reconciler.cli.metrics import write_metrics

    try:
        write_metrics(file, desk.deploy, results, by_hand=by_hand)
    except OSError as error:
        print(f"reconcile: --metrics-file {file}: can't be written: {error.strerror}", file=sys.stderr)
        return False
    return True


def _run(args: Namespace, desk: Desk, names: Sequence[str]) -> list[PassResult]:
    """The operation on every chosen target, concurrently; one that fails doesn't hold up the others."""
    operation = _operation(args)
    with desk.contexts(names, _progress, patience=getattr(args, "lock_wait", 0.0)) as contexts:
        if len(contexts) == 1:
            return [carry_out(operation, contexts[0])]
        with ThreadPoolExecutor(max_workers=desk.deploy.rollout.max_parallel) as pool:
            return list(pool.map(lambda ctx: carry_out(operation, ctx), contexts))


def _run_trusted(args: Namespace, desk: Desk, names: Sequence[str], ref: str) -> list[PassResult]:
    from dataclasses import replace

    from reconciler.wiring.trusted import trusting

    with trusting(desk, ref) as (trusted, notes):
        left = [name for name in names if name in trusted.deploy.targets]
        if not left:
            raise UsageError(f"--trusted-ref {ref}: {'; '.join(notes)}")
        return [replace(result, notes=(*notes, *result.notes)) for result in _run(args, trusted, left)]


def _operation(args: Namespace) -> Operation:
    # Imported where needed: a cold `--once` with nothing to do counts its milliseconds.
    match args.command:
        case "plan":
            from reconciler.cycle.reconcile import preview

            return preview
        case "audit":
            from reconciler.cycle.audit import audit

            return audit
        case "adopt":
            from reconciler.cycle.adopt import adopt

            return adopt
        case "rollback" | "retry" | "suspend" | "resume":
            from reconciler.cycle import by_hand

            if args.command == "rollback" and args.forget:
                return lambda ctx: by_hand.forget(ctx, args.forget)
            if args.command == "rollback":
                return lambda ctx: by_hand.rollback(ctx, to=args.to)
            if args.command == "suspend":
                return lambda ctx: by_hand.suspend(ctx, args.message)
            return by_hand.retry if args.command == "retry" else by_hand.resume
        case _:
            from reconciler.cycle.reconcile import preview, reconcile

            run = preview if args.dry_run else reconcile
            return (lambda ctx: run(ctx, env_only=True)) if args.env_only else run


def _worst(results: Sequence[PassResult]) -> ExitCode:
    return worst([result.exit_code for result in results])


def _targets(args: Namespace, desk: Desk) -> list[str]:
    chosen: list[str] = getattr(args, "target", None) or list(desk.deploy.targets)
    unknown = [name for name in chosen if name not in desk.deploy.targets]
    if unknown:
        raise UsageError(f"--target {unknown[0]}: there is no such target; there are: {', '.join(desk.deploy.targets)}")
    return list(dict.fromkeys(chosen))


def _progress(target: str, text: str) -> None:
    import logging

    logging.getLogger("reconciler.progress").info("%s: %s", target, text)


def _logging(args: Namespace, holder: RedactorHolder) -> None:
    talks = args.command == "run" or sys.stderr.isatty()
    level = getattr(args, "log_level", None) or ("info" if talks else "warning")
    configure(level, getattr(args, "log_format", "text"), sys.stderr, holder)


def _catch_signals(interrupt: Interrupt) -> None:
    """The first Ctrl-C or SIGTERM ends the pass cleanly (a revert, if the switch had begun), the second at once."""

    def handle(number: int, _frame: object) -> None:
        if interrupt.event.is_set():
            os.write(2, b"reconcile: not waiting any longer; the next pass goes on from here\n")
            os._exit(128 + number)
        interrupt.event.set()
        os.write(2, b"reconcile: ending cleanly; once more to stop waiting\n")

    for name in ("SIGINT", "SIGTERM"):
        signal.signal(getattr(signal, name), handle)


if __name__ == "__main__":
    sys.exit(main())
