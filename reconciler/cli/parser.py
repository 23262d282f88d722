"""The command line's grammar. A wrong use ends with exit code 64, not argparse's 2, which means "changes pending"."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, NoReturn

from pydantic import TypeAdapter, ValidationError

from reconciler import __version__
from reconciler.model.errors import UsageError
from reconciler.model.quantities import Duration

DESCRIPTION = "Declarative state reconciler: GitOps for Docker Compose applications on plain servers."
EXIT_CODES = """\
exit codes:
   0  in sync, or converged            5  locked by another pass
   1  error; the message says what     6  target unreachable or timed out: unknown
   2  changes pending                  7  revert failed: a person is needed
   3  breached and reverted            8  held: verified as far as it could be measured
   4  blocked: quarantined, suspended, not ours   64  wrong usage
"""


def _duration(text: str) -> float:
    try:
        return TypeAdapter(Duration).validate_python(text)
    except ValidationError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration; write 30s, 5m or 500ms") from error


_LOCK_WAIT: dict[str, Any] = {
    "type": _duration,
    "default": argparse.SUPPRESS,
    "metavar": "DURATION",
    "help": "wait so long for another pass to give the target back (default: not at all)",
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; `{self.prog} --help` shows the usage")


def parser() -> argparse.ArgumentParser:
    """The whole grammar. Parsing raises UsageError."""
    common = _common()
    top = _Parser(
        prog="reconcile",
        description=DESCRIPTION,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[common],
    )
    top.add_argument("--version", action="version", version=f"reconcile {__version__}")
    top.add_argument("--once", action="store_true", help="one pass over every target")
    top.add_argument("--dry-run", action="store_true", help="with --once: only show what it would do (as `plan`)")
    top.add_argument("--env-only", action="store_true", help="with --once: bring the env values, and nothing else")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")

    def command(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text, parents=[common])

    top.add_argument("--lock-wait", **_LOCK_WAIT)
    run = command("run", "the daemon: follow the desired state, watch every target, until it is ended")
    run.add_argument("--accept", metavar="COMMIT", help="trust this commit of a branch whose history was rewritten")
    command("validate", "check the desired state; no server is needed")
    command("plan", "show what a pass would do, and why; changes nothing")
    env = command("env", "check, compare, edit and encrypt the env values")
    _env_commands(env, common)
    command("audit", "what drifted from what serves: managed files, containers, links; changes nothing")
    command("status", "sync, health, phase and tags of every target")
    adopt = command("adopt", "take over what already runs on a target")
    rollback = command("rollback", "go back to the way back, or to a retained release")
    rollback.add_argument("--to", metavar="TAG", help="a tag or release id that is retained on the target")
    rollback.add_argument("--forget", metavar="RELEASE", help="give a broken way back up instead of going anywhere")
    retry = command("retry", "lift the quarantine of this app's releases")
    suspend = command("suspend", "freeze the targets until `resume`")
    suspend.add_argument("--message", "-m", required=True, help="why, for whoever finds it frozen")
    resume = command("resume", "end a suspension")
    for changing in (adopt, rollback, retry, suspend, resume):
        changing.add_argument("--lock-wait", **_LOCK_WAIT)
    command("history", "list the run records")
    show = command("show", "show one run record")
    show.add_argument("run", metavar="RUN", help="a run's id, as `history` prints it")
    replay = command("replay", "recompute a run's verdict from its record alone")
    replay.add_argument("run", metavar="RUN", help="a run's id, as `history` prints it")
    return top


def _env_commands(env: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    of_env = env.add_subparsers(dest="env_command", metavar="COMMAND", required=True)
    for name, text in (
        ("check", "hold the values against the template and against what Compose uses"),
        ("diff", "which keys differ from the release that serves; values as short keyed fingerprints"),
        ("edit", "change the encrypted values in your editor"),
        ("encrypt", "encrypt the plain values file for git, or an encrypted one to other recipients"),
    ):
        of_env.add_parser(name, help=text, description=text, parents=[common])


def _common() -> _Parser:
    common = _Parser(add_help=False, argument_default=argparse.SUPPRESS)
    common.add_argument("-f", "--file", type=Path, metavar="FILE", help="the desired state (default: deploy.yaml)")
    common.add_argument("--target", action="append", metavar="NAME", help="only this target; may be repeated")
    common.add_argument("--output", choices=["text", "json"], help="for people or for machines (default: text)")
    common.add_argument("--log-level", choices=["debug", "info", "warning", "error"], help="on standard error")
    common.add_argument("--log-format", choices=["text", "json"], help="how to log (default: text)")
    common.add_argument("--metrics-file", type=Path, metavar="FILE", help="write Prometheus metrics to this textfile")
    common.add_argument("--no-color", action="store_true", help="no colours, also on a terminal")
    return common
