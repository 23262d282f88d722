"""core/diff.py: what differs between two releases, for people who may not see a value."""

from __future__ import annotations

from typing import Any

from pydantic import SecretStr

from reconciler.core.diff import field_changes
from reconciler.telemetry.redact import Redactor


def model(**service: Any) -> dict[str, Any]:
    return {"services": {"web": {"image": "sha256:" + "1" * 64, **service}}}


def test_a_field_before_and_after() -> None:
    assert field_changes(model(mem_limit="64m"), model(mem_limit="32m"), str) == ("services.web.mem_limit: 64m → 32m",)


def test_a_value_that_is_longer_than_what_is_shown_is_masked_before_it_is_cut() -> None:
    """Half a secret is a secret, and no mask knows it."""
    secret = "postgres://user:s3cr$t-password@db.internal:5432/app?sslmode=verify-full&x=1"
    mask = Redactor({"DB": SecretStr(secret)}).text
    lines = field_changes(model(command=["a"]), model(command=[secret.replace("$", "$$")]), mask)
    assert lines == ("services.web.command.0: a → ***",)


def test_an_env_value_is_never_shown() -> None:
    lines = field_changes(model(environment={"A": "old"}), model(environment={"A": "new"}), str)
    assert lines == ("services.web.environment.A: changed (value not shown)",)


def test_a_first_release_is_told_by_its_services() -> None:
    assert field_changes(None, model(), str) == ("services.web: new",)
