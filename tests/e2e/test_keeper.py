"""P3: a way back always exists. Attacked on a server of its own, that may be pruned, killed and rebooted."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from ops.demo.images import Fault
from tests.e2e.far import Far, far_away
from tests.e2e.untouched import EVERY
from tests.world.engine import SecondEngine, second_engine
from tests.world.images import GOOD, Images
from tests.world.poller import poll
from tests.world.registry import Registry
from tests.world.world import Completed

pytestmark = pytest.mark.engine

A, B, C = GOOD


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecondEngine]:
    with second_engine(tmp_path_factory.mktemp("second")) as engine:
        yield engine


@pytest.fixture
def far(tmp_path: Path, second: SecondEngine, images: Images) -> Iterator[Far]:
    with far_away(tmp_path, second, images) as it:
        yield it


def await_true(what: str, is_so: Callable[[], bool], *, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.1)


def deploy(far: Far, tag: str, *, code: int = 0) -> Completed:
    far.repo.release(tag)
    done = far.repo.reconcile("--once")
    assert done.returncode == code, done.stdout + done.stderr
    return done


def load(far: Far, images: Images, *tags: str) -> None:
    far.server.load(*[images.reference(images.good(tag)) for tag in tags])


def kept_by(far: Far) -> dict[str, str]:
    """Image id to state, of the keepers."""
    return {str(keeper.attrs["Image"]): keeper.status for keeper in far.project.keepers()}


def delivered_by_registry(far: Far, images: Images, registry: Registry, *tags: str) -> None:
    """From now on the image is the registry's, which has `tags`."""
    far.server.expose(int(registry.address.rpartition(":")[2]))
    for tag in tags:
        registry.push(images.reference(images.good(tag)), tag)
    far.repo.edit({"image.repository": registry.repository(), "image.delivery": "registry"})
    far.repo.set_env(IMAGE=registry.repository())


@pytest.mark.parametrize(
    "power_cut",
    [pytest.param(False, id="dockerd killed", marks=pytest.mark.exhaustive), pytest.param(True, id="host rebooted")],
)
def test_the_way_back_survives_prune_and_death_with_registry_and_git_gone(
    far: Far, images: Images, open_registry: Registry, *, power_cut: bool
) -> None:
    """The third of the things to prove first, and `rollback` on top of it."""
    delivered_by_registry(far, images, open_registry, A, B)
    deploy(far, A)
    deploy(far, B)
    assert far.version() == B
    held = {images.id(A): "running", images.id(B): "running"}
    assert kept_by(far) == held

    far.server.docker("system", "prune", "--all", "--force")
    if power_cut:
        far.server.reboot()
        far.connect()
    else:
        far.server.kill()
        far.server.start()
    await_true("the keepers run again by themselves", lambda: kept_by(far) == held)
    if power_cut:
        await_true("the app, too", lambda: far.version() == B)
    # else dockerd ended what had survived it, and what is `unless-stopped` counts as stopped by a person: the second
    # prune takes the app's containers away, and all that is left of it are its keepers
    far.server.docker("system", "prune", "--all", "--force")
    assert {images.id(A), images.id(B)} <= far.images()

    open_registry.stop()
    bad = images.bad(Fault.UNHEALTHY)
    far.server.load(images.reference(bad))
    far.server.docker("tag", images.reference(bad), f"{open_registry.repository()}:{bad}")
    far.repo.set(tag=bad)
    shutil.rmtree(far.repo.path / ".git")
    before = far.repo.reconcile("--once")
    assert before.returncode == 3, before.stdout + before.stderr
    assert far.version() == B

    (far.repo.path / "desired_state" / "observer" / "compose.yaml").unlink()
    back = far.repo.reconcile("rollback")
    assert back.returncode == 0, back.stdout + back.stderr
    assert far.version() == A
    assert (far.project.deploy_dir / "current").readlink().name.startswith(A)


@pytest.mark.exhaustive
def test_a_release_that_comes_back_has_its_images_or_nothing_is_touched(
    far: Far, images: Images, open_registry: Registry
) -> None:
    """A known release isn't rendered again: that its files are there doesn't mean that its images are (P1)."""
    delivered_by_registry(far, images, open_registry, A, B)
    deploy(far, A)
    deploy(far, B)
    lose(far, images.id(A))
    ids = far.project.container_ids()
    open_registry.stop()
    with poll(far.project.url("/version"), every=EVERY, place=far.server.inside) as client:
        client.wait_for(B)
        refused = deploy(far, A, code=1)
        client.wait_for(B)
    assert client.failures() == []
    assert far.project.container_ids() == ids
    assert images.id(A)[7:19] in refused.stdout or f"observer:{A}" in refused.stdout, refused.stdout
    open_registry.start()
    deploy(far, A)
    assert far.version() == A


def lose(far: Far, image_id: str) -> None:
    """Somebody removes an image by force, its keeper first."""
    for keeper in far.project.keepers():
        if keeper.attrs["Image"] == image_id:
            far.server.docker("rm", "--force", str(keeper.id))
    far.server.docker("rmi", "--force", image_id)
    assert image_id not in far.images()


def a_stable_and_b_verified(far: Far) -> None:
    """A is last good, B serves: so both are needed by whatever comes next."""
    far.repo.edit({"stabilization": {"period": "500ms", "interval": "100ms"}})
    deploy(far, A)
    await_true("A is stable", lambda: '"stable"' in far.repo.reconcile("--once", "--output", "json").stdout)
    far.repo.edit({"stabilization": {"period": "1h", "interval": "1s"}})
    deploy(far, B)
    assert (far.project.deploy_dir / "last_good_tag").read_text().strip() == A


def test_without_its_way_back_nothing_is_touched(far: Far, images: Images) -> None:
    """An image that was removed by force, and that no registry has: refused, until someone gives that way back up."""
    load(far, images, A, B, C)
    a_stable_and_b_verified(far)
    lose(far, images.id(A))
    ids = far.project.container_ids()
    releases = sorted((far.project.deploy_dir / "releases").iterdir())
    with poll(far.project.url("/version"), every=EVERY, place=far.server.inside) as client:
        client.wait_for(B)
        refused = deploy(far, C, code=1)
        client.wait_for(B)
    assert client.failures() == []
    assert far.project.container_ids() == ids
    assert sorted((far.project.deploy_dir / "releases").iterdir()) == releases
    assert refused.stdout.count("\n") == 1, refused.stdout
    assert images.id(A)[7:19] in refused.stdout
    lost = next(path.name for path in releases if path.name.startswith(A))
    assert f"reconcile rollback --forget {lost}" in refused.stdout

    forgotten = far.repo.reconcile("rollback", "--forget", lost)
    assert forgotten.returncode == 0, forgotten.stdout + forgotten.stderr
    deploy(far, C)
    assert far.version() == C


@pytest.mark.exhaustive
def test_a_way_back_that_the_registry_still_has_is_pulled_again(
    far: Far, images: Images, open_registry: Registry
) -> None:
    """A lost image that can be had again doesn't stop a deploy: it is there and held before the switch."""
    delivered_by_registry(far, images, open_registry, A, B, C)
    a_stable_and_b_verified(far)
    lose(far, images.id(A))
    deploy(far, C)
    assert far.version() == C
    assert kept_by(far) == {images.id(tag): "running" for tag in (A, B, C)}


def test_a_pass_with_nothing_to_do_gives_a_lost_keeper_back(far: Far, images: Images) -> None:
    """A prune between two passes must not find the way back without its keeper."""
    load(far, images, A, B)
    deploy(far, A)
    deploy(far, B)
    far.server.docker("rm", "--force", *[str(keeper.id) for keeper in far.project.keepers()])
    assert far.repo.reconcile("--once").returncode == 0
    assert kept_by(far) == {images.id(A): "running", images.id(B): "running"}

    lose(far, images.id(A))
    done = far.repo.reconcile("--once")
    assert done.returncode == 2
    assert f"keeper of {images.id(A)[7:19]}" in done.stdout
    assert "its image is gone" in done.stdout


def test_retention_takes_what_is_old_and_nothing_else(far: Far, images: Images) -> None:
    """Old releases go with their images, files and keepers; neither a way back nor what another app has."""
    tags = [*GOOD, *(f"20260101_00000{number}" for number in range(4, 6))]
    far.server.docker("image", "prune", "--all", "--force")  # a test before may have given them a second repository
    load(far, images, *tags)
    # another app's: one with the very same id as an old release, one that shares all layers but the last
    far.server.docker("tag", images.id(tags[1]), "another/app:1")
    stranger = images.good("20260101_000009")
    far.server.load(images.reference(stranger))
    far.server.docker("tag", images.reference(stranger), "another/app:2")
    far.server.docker("rmi", images.reference(stranger))
    far.repo.edit({"retention.releases": 2})
    far.repo.edit({"stabilization": {"period": "500ms", "interval": "100ms"}})
    deploy(far, tags[0])
    await_true("it is stable", lambda: '"stable"' in far.repo.reconcile("--once", "--output", "json").stdout)
    far.repo.edit({"stabilization": {"period": "1h", "interval": "1s"}})
    conf = far.repo.path / "desired_state" / "observer" / "config" / "observer.conf"
    for tag in tags[1:]:
        conf.write_text(conf.read_text() + f"# {tag}\n")
        deploy(far, tag)

    kept = sorted(path.name[:15] for path in (far.project.deploy_dir / "releases").iterdir())
    assert kept == sorted([tags[0], *tags[-2:]]), "the newest two, and last good"
    ours = {image for tag in kept if (image := images.id(tag))}
    assert far.images() & {images.id(tag) for tag in tags} == ours | {images.id(tags[1])}
    assert images.id(stranger) in far.images()
    assert set(kept_by(far)) == {images.id(tag) for tag in (tags[0], *tags[-2:])}, "last good, way back, serving"
    manifests = (far.project.deploy_dir / "releases").glob("*/manifest.json")
    used = {sha for manifest in manifests for sha in json.loads(manifest.read_text())["files"]}
    stored = {path.name for path in (far.project.deploy_dir / ".reconciler" / "files").iterdir()}
    assert stored == used
    back = far.repo.reconcile("rollback", "--to", tags[0])
    assert back.returncode == 0, back.stdout + back.stderr
    assert far.version() == tags[0]


@pytest.mark.exhaustive
def test_the_images_of_a_retained_release_are_another_apps_too(far: Far, images: Images) -> None:
    """Docker refuses to remove an image that a container uses: then it stays, and nothing fails."""
    load(far, images, A, B, C)
    client = docker.DockerClient(base_url=far.server.docker_host)
    other = client.containers.run(images.id(A), ["sleep", "100000"], detach=True)
    try:
        far.repo.edit({"retention.releases": 1})
        for tag in (A, B, C):
            deploy(far, tag)
        assert images.id(A) in far.images()
        other.reload()
        assert other.status == "running"
    finally:
        other.remove(force=True)
        client.close()
