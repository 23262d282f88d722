"""The env files of one deploy.yaml: what is never sent to a target, and what git may track."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pyrage
import pytest

from reconciler.adapters.desired.load import load_deploy
from reconciler.adapters.desired.sources import read_sources
from reconciler.adapters.env import private_dir
from reconciler.adapters.env.age import encrypt
from reconciler.adapters.env.place import EnvPlace, shown
from reconciler.adapters.env.private_dir import private_directory
from reconciler.model.errors import DesiredStateError

DEPLOY = """\
apiVersion: reconciler/v1
app: shop
tag: "20260122_101500"
compose: compose.yaml
env: {template: env.template, values: .env.server.age, identity: {file: keys/id.txt}}
targets: {prod: {host: local, deploy_dir: /srv/shop}}
"""
TEMPLATE = "HOST=\nURL=http://${HOST}/\nUNUSED=1\n"
COMPOSE = "services: {web: {image: 'shop:${TAG}', environment: {URL: '${URL}'}}}\n"


@dataclass(frozen=True)
class Shop:
    """A repository with everything committed but the plain values and the identity."""

    path: Path

    @property
    def file(self) -> Path:
        return self.path / "deploy.yaml"

    def git(self, *arguments: str) -> None:
        subprocess.run(["git", "-C", str(self.path), *arguments], check=True, capture_output=True)

    def sent(self) -> list[str]:
        return [str(file.path) for file in read_sources(load_deploy(self.file), self.file).files]

    def refusal(self) -> str:
        with pytest.raises(DesiredStateError) as caught:
            self.sent()
        return str(caught.value).removeprefix(f"{self.file}:")


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path / "shop")
    (shop.path / "keys").mkdir(parents=True)
    identity = pyrage.x25519.Identity.generate()
    content = encrypt(b"HOST=hunter2hunter2\n", [str(identity.to_public())])
    for name, data in {
        "deploy.yaml": DEPLOY.encode(),
        "env.template": TEMPLATE.encode(),
        "compose.yaml": COMPOSE.encode(),
        ".env.server.age": content,
        "keys/id.txt": str(identity).encode(),
    }.items():
        (shop.path / name).write_bytes(data)
    (shop.path / "keys" / "id.txt").chmod(0o600)
    shop.git("init", "-q")
    shop.git("add", "deploy.yaml", "env.template", "compose.yaml", ".env.server.age")
    return shop


def test_encrypted_values_may_be_tracked_and_are_not_sent(shop: Shop) -> None:
    """Nor is the identity, nor the plain file that they were made from, although git would add both."""
    (shop.path / ".env.server").write_text("HOST=hunter2hunter2\n")
    assert shop.sent() == ["compose.yaml", "deploy.yaml", "env.template"]
    values = EnvPlace.of(load_deploy(shop.file), shop.file).values()
    assert values.keys() == ("HOST", "URL", "UNUSED")
    assert values.warnings == ()


@pytest.mark.parametrize(
    ("tracked", "refusal"),
    [
        (".env.server", "5: env.values: `.env.server`, from which it is made, is tracked by git in plain text; "),
        ("keys/id.txt", "5: env.identity.file: is a secret key, and tracked by git; "),
    ],
)
def test_what_git_may_not_track(shop: Shop, tracked: str, refusal: str) -> None:
    (shop.path / ".env.server").write_text("HOST=hunter2hunter2\n")
    shop.git("add", "-f", tracked)
    assert shop.refusal().startswith(refusal)
    assert "`git rm --cached` it, ignore it, and change the secrets that it held" in shop.refusal()


def test_a_plain_file_that_is_called_encrypted_may_not_be_tracked(shop: Shop) -> None:
    (shop.path / ".env.server.age").write_text("HOST=hunter2hunter2\n")
    assert shop.refusal().startswith("5: env.values: is tracked by git in plain text; ")
    assert "hunter2" not in shop.refusal()


def test_a_key_that_another_is_made_from_is_used(shop: Shop) -> None:
    place = EnvPlace.of(load_deploy(shop.file), shop.file)
    written = place.written()
    uses = place.uses(read_sources(load_deploy(shop.file), shop.file), place.given(written), written, tag="t")
    assert {use.key for use in uses.found} == {"TAG", "URL", "HOST"}


def test_paths_are_shown_as_a_person_there_would_write_them(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shop.path)
    place = EnvPlace.of(load_deploy(Path("deploy.yaml")), Path("deploy.yaml"))
    assert place.given(place.written()).file == ".env.server.age"
    assert shown(Path("/elsewhere/x")) == "/elsewhere/x"


def test_a_private_directory_is_private_and_goes(tmp_path: Path) -> None:
    def fail() -> None:
        with private_directory(tmp_path) as directory:
            (directory / "f").write_text("x")
            assert directory.stat().st_mode & 0o777 == 0o700
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_has_is_not(tmp_path: Path) -> None:
    code = (
        "import os, sys, pathlib; from reconciler.adapters.env.private_dir import private_directory\n"
        "with private_directory(pathlib.Path(sys.argv[1])) as directory:\n"
        "    (directory / 'secret').write_text('x'); os.kill(os.getpid(), 9)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], env=environment, check=False)
    assert len(list(tmp_path.iterdir())) == 1
    (tmp_path / f"{private_dir.PREFIX}link").symlink_to("/")
    with private_directory(tmp_path) as first, private_directory(tmp_path) as second:
        assert first.is_dir()
        assert second.is_dir()
        assert len(list(tmp_path.iterdir())) == 3, "the two and the link that somebody put there"
    assert [path.name for path in tmp_path.iterdir()] == [f"{private_dir.PREFIX}link"]
