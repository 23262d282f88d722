"""A plan for a commit that nobody approved: what it may decide, and what it may not."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from reconciler.core.trust import with_trust
from reconciler.model.deploy import Deploy
from tests.unit.test_deploy_model import MINIMAL


def deploy(**changes: Any) -> Deploy:
    """The smallest deploy.yaml, changed."""
    document = yaml.safe_load(MINIMAL) | {"env": {"values": ".env.server"}}
    document["tag"] = "20260122_101500"
    document["targets"] = {"prod": {"host": "203.0.113.10", "deploy_dir": "/srv/app"}}
    return Deploy.model_validate(document | changes)


MINE = {"prod": {"host": "198.51.100.66", "deploy_dir": "/srv/app"}}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tag": "20260123_101500"}, ()),
        ({"compose": "other.yaml"}, ()),
        ({"targets": MINE}, ("target prod is planned for as main has it, not as changed here",)),
        ({"env": {"values": {"command": ["sh", "-c", "id"]}}}, ("env is used as main has it, not as changed here",)),
        ({"env": {"values": "/etc/shadow"}}, ("env is used as main has it, not as changed here",)),
        (
            {"image": {"credentials": {"username": "x", "password": {"command": ["id"]}}}},
            ("image.credentials is used as main has it, not as changed here",),
        ),
        ({"gates": {"commands": [{"name": "x", "run": ["id"], "from": "controller"}]}}, ()),
        ({"git": {"url": "https://evil.example/x"}}, ()),
        ({"notify": {"urls": {"env": "X"}}}, ()),
    ],
)
def test_what_could_run_be_contacted_or_receive_secrets_is_the_trusted_ones(
    changes: dict[str, Any], said: tuple[str, ...]
) -> None:
    trusted = deploy()
    asked = deploy(**changes)
    found, notes = with_trust(asked, trusted, "main")
    for section in ("targets", "env", "gates", "git", "daemon", "notify"):
        assert getattr(found, section) == getattr(trusted, section), section
    assert found.image.credentials == trusted.image.credentials
    assert (found.tag, found.compose) == (asked.tag, asked.compose)
    assert notes == said


def test_a_target_that_only_the_commit_has_is_left_out() -> None:
    asked = deploy(targets={"prod": {"host": "203.0.113.10", "deploy_dir": "/srv/app"}, "mine": {**MINE["prod"]}})
    found, notes = with_trust(asked, deploy(), "main")
    assert set(found.targets) == {"prod"}
    assert notes == ("target mine isn't in main: nothing is sent there",)
