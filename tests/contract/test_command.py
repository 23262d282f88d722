"""What messages call a command."""

from __future__ import annotations

import pytest

from reconciler.adapters.transport.command import argument_list, label, shell_line


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["docker", "compose", "up", "-d", "secret"], "docker compose"),
        (["sh", "-c", "echo secret"], "sh -c"),
        (["sh", "-c", "echo secret", "take-lock", "secret"], "take-lock"),
        (["/bin/sh", "-euc", "echo secret", "take-lock"], "take-lock"),
        (["true"], "true"),
        (["cat", "/a\nb" + "c" * 100], "cat /a b" + "c" * 51 + "…"),
    ],
)
def test_a_label_is_short_and_holds_no_script(command: list[str], name: str) -> None:
    assert label(command) == name


def test_environment_and_sudo_stand_in_front() -> None:
    assert argument_list(["a", "b"], env={"K": "v w"}, sudo=True) == ["sudo", "-n", "--", "env", "K=v w", "a", "b"]
    assert shell_line(["a", "b c", ""]) == b"a 'b c' ''"


def test_a_name_that_no_shell_takes_is_refused() -> None:
    with pytest.raises(ValueError, match="A B"):
        argument_list(["true"], env={"A B": "c"})
