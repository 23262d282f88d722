"""What the engine says of limits, networks and layers, and what of it is drift: the rules, without an engine."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.adapters.engine import live
from reconciler.adapters.engine.in_place import body_of_update
from reconciler.core.live import MOST_PATHS, baseline_of, is_ignored, live_drift, step_back, updatable
from reconciler.model.drift import Drift, Vector
from reconciler.model.limits import RESETS, TEXTS, WHOLE_NUMBERS
from reconciler.model.observed import ContainerFacts
from reconciler.model.plan import Connect, Disconnect, Update
from reconciler.model.stored import Attachment, Live

NAMES = st.sampled_from([*WHOLE_NUMBERS, *TEXTS, "RestartPolicy"])
LIMITS = st.dictionaries(NAMES, st.integers(1, 9) | st.just("always:0"), max_size=4)
PARTS = st.sampled_from(["a", "b", "c", "+d", "e f"])
PATHS = st.lists(PARTS, min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))


def container(found: Live | None) -> ContainerFacts:
    return ContainerFacts(id="id", name="app-web-1", service="web", image_id="i", state="running", live=found)


def layered(*paths: str) -> ContainerFacts:
    return container(Live(layer=tuple(sorted(paths))))


def kept(of: ContainerFacts, ignore: tuple[str, ...] = ()) -> Live:
    baseline = baseline_of(of, ignore=ignore)
    assert baseline is not None
    return baseline


def inspected(**host: Any) -> dict[str, Any]:
    return {"Id": "0123456789abcdef", "HostConfig": host, "Mounts": [], "NetworkSettings": {"Networks": {}}}


class TestWhatTheEngineSays:
    @pytest.mark.parametrize(
        "host",
        [
            {},
            {"Memory": 0, "PidsLimit": None, "CpusetCpus": "", "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}},
            {"PidsLimit": 0, "RestartPolicy": {"Name": "", "MaximumRetryCount": 0}},
            {"PidsLimit": -1, "RestartPolicy": None},
            {"CpuPeriod": 100_000, "CpuQuota": -1},
            {"MemorySwap": -1},
        ],
    )
    def test_no_limit_has_many_words_and_is_one_thing(self, host: dict[str, Any]) -> None:
        assert live.limits(inspected(**host)) == {}

    def test_every_limit_that_is_there_is_read(self) -> None:
        numbers = {name: 7 + n for n, name in enumerate(WHOLE_NUMBERS)}
        texts = dict.fromkeys(TEXTS, "0-1")
        policy = {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3}}
        found = live.limits(inspected(**numbers, **texts, **policy))
        assert found == {**numbers, **texts, "RestartPolicy": "on-failure:3"}

    def test_swap_without_end_says_something_where_memory_has_one(self) -> None:
        assert live.limits(inspected(Memory=9, MemorySwap=-1)) == {"Memory": 9, "MemorySwap": -1}

    def test_the_short_id_that_older_engines_add_is_no_alias_and_an_address_counts_only_where_asked_for(self) -> None:
        details = inspected()
        details["NetworkSettings"]["Networks"] = {
            "front": {"Aliases": ["web", "0123456789ab", "api"], "IPAMConfig": None, "IPAddress": "172.18.0.2"},
            "back": {"Aliases": None, "IPAMConfig": {"IPv4Address": "10.0.0.9", "IPv6Address": "fd00::9"}},
        }
        assert live.networks(details) == {
            "back": Attachment(ipv4="10.0.0.9", ipv6="fd00::9"),
            "front": Attachment(aliases=("api", "web")),
        }

    def test_mounts_and_what_only_holds_something_are_left_out_of_a_layer(self) -> None:
        details = inspected(Tmpfs={"/scratch": ""}, Init=True)
        details["Mounts"] = [{"Destination": "/data/deep/x"}, {"Destination": "/etc/app.conf"}, {"Destination": "/v/"}]
        made = ["/data", "/data/deep", "/data/deep/x", "/etc/app.conf", "/scratch", "/sbin/docker-init", "/v"]
        own = ["/opt", "/opt/new", "/etc/motd", "/data/deep/own"]
        changes = [{"Path": path, "Kind": 1} for path in made + own]
        changes += [{"Path": "/etc", "Kind": 0}, {"Path": "/sbin", "Kind": 0}, {"Path": "/srv", "Kind": 0}]
        changes += [{"Path": "/etc/gone", "Kind": 2}]
        assert live.layer(details, changes) == tuple(sorted([*own, "/srv", "/etc/gone"]))
        assert live.layer(details, None) == ()

    @given(st.dictionaries(PATHS, st.sampled_from([0, 1, 2])), st.sets(PATHS, max_size=3))
    def test_nothing_that_was_written_is_lost(self, changes: dict[str, int], mounts: set[str]) -> None:
        details = inspected()
        details["Mounts"] = [{"Destination": mount} for mount in mounts]
        found = live.layer(details, [{"Path": path, "Kind": kind} for path, kind in changes.items()])
        assert list(found) == sorted(set(found))
        for path, kind in changes.items():
            for_mount = any(mount == path or mount.startswith(f"{path}/") for mount in mounts)
            below = [other for other in found if other.startswith(f"{path}/")]
            if for_mount:
                assert path not in found
            elif path not in found:
                assert kind == 0
                assert below or any(other.startswith(f"{path}/") for other in changes)
            else:
                assert kind != 0 or not below


class TestLimits:
    @given(LIMITS, LIMITS)
    def test_drift_is_any_difference_and_its_step_restores_all_or_nothing(
        self, before: dict[str, int | str], after: dict[str, int | str]
    ) -> None:
        baseline, found = Live(limits=before), Live(limits=after)
        drift = live_drift(container(found), baseline)
        assert bool(drift) == (before != after)
        assert updatable(baseline, found) == all(name in before or name in RESETS for name in after)
        for each in drift:
            assert each.vector is Vector.LIMITS
            assert each.expected != each.found
            step = step_back(each, container(found), baseline)
            assert isinstance(step, Update) == updatable(baseline, found)
            assert not isinstance(step, Update) or step.limits == before

    @pytest.mark.parametrize(
        ("name", "value", "words"),
        [
            ("Memory", 64 * 2**20, "Memory 64 MiB"),
            ("Memory", 3 * 2**30, "Memory 3 GiB"),
            ("MemorySwap", 1536 * 2**20, "MemorySwap 1536 MiB"),
            ("MemoryReservation", 10_000_001, "MemoryReservation 10000001 bytes"),
            ("MemorySwap", -1, "MemorySwap unlimited"),
            ("NanoCpus", 1_500_000_000, "NanoCpus 1.5 CPUs"),
            ("RestartPolicy", "on-failure:3", "RestartPolicy on-failure at most 3 times"),
            ("RestartPolicy", "always:0", "RestartPolicy always"),
            ("CpuShares", 512, "CpuShares 512"),
        ],
    )
    def test_words_for_people(self, name: str, value: int | str, words: str) -> None:
        (drift,) = live_drift(container(Live(limits={name: value})), Live())
        assert drift.found == words
        none = "RestartPolicy no" if name == "RestartPolicy" else f"no {name}"
        assert drift.line == f"app-web-1: expected {none}, found {words}"

    def test_an_update_says_what_differs_and_what_goes_with_it(self) -> None:
        wanted = {"Memory": 64, "MemorySwap": 128, "CpuPeriod": 50, "CpuQuota": 25, "CpuShares": 5}
        assert body_of_update(wanted, {**wanted, "MemorySwap": -1}) == {"Memory": 64, "MemorySwap": 128}
        assert body_of_update(wanted, {**wanted, "CpuQuota": 9}) == {"CpuPeriod": 50, "CpuQuota": 25}
        assert body_of_update({}, {"CpuQuota": 9, "PidsLimit": 9, "RestartPolicy": "always:0"}) == {
            "CpuQuota": -1,
            "PidsLimit": 0,
            "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        }


class TestNetworks:
    def test_attached_by_others_lost_and_renamed_are_three_things_with_three_keys(self) -> None:
        web = Attachment(aliases=("web",))
        baseline = Live(networks={"a": web, "b": web, "same": web})
        found = container(Live(networks={"b": Attachment(aliases=("other",), ipv4="10.0.0.1"), "c": web, "same": web}))
        lost, renamed, extra = live_drift(found, baseline)
        assert lost == Drift(Vector.NETWORK, "app-web-1 on a", "attached to a", "not attached")
        assert renamed == Drift(Vector.NETWORK, "app-web-1 on b", "aliases web", "aliases other, address 10.0.0.1")
        assert extra == Drift(Vector.ATTACHMENT, "app-web-1 on c", "not attached to c", "attached")
        assert step_back(lost, found, baseline) == Connect("web", "id", "app-web-1", "a", web, lost.line)
        assert step_back(renamed, found, baseline) == Connect("web", "id", "app-web-1", "b", web, renamed.line)
        assert step_back(extra, found, baseline) == Disconnect("web", "id", "app-web-1", "c", extra.line)


class TestLayer:
    @given(st.sets(PATHS), st.sets(PATHS))
    def test_only_what_is_new_is_drift(self, before: set[str], after: set[str]) -> None:
        drift = live_drift(layered(*after), kept(layered(*before)))
        new = sorted(after - before)
        assert [each.vector for each in drift] == ([Vector.LAYER] if new else [])
        if new:
            assert drift[0].found == new[0] + (f" and {len(new) - 1} more" if len(new) > 1 else "")

    def test_a_layer_that_was_not_read_says_nothing(self) -> None:
        assert live_drift(container(Live(layer=None)), Live(layer=("/a",))) == ()
        assert live_drift(container(Live(layer=("/a",))), Live(layer=None)) == ()
        assert kept(container(Live(layer=None))).layer is None
        assert baseline_of(container(None)) is None
        with pytest.raises(ValueError, match="app-web-1: read without its details"):
            live_drift(container(None), Live())

    @given(st.integers(MOST_PATHS + 1, MOST_PATHS + 40), st.data())
    def test_a_list_that_was_cut_equals_only_itself(self, count: int, data: st.DataObject) -> None:
        paths = [f"/p{n:05}" for n in range(count)]
        baseline = kept(layered(*paths))
        assert len(baseline.layer or ()) == MOST_PATHS + 1
        assert live_drift(layered(*paths), baseline) == ()

        where = data.draw(st.sampled_from(paths))
        (early_or_late,) = live_drift(layered(*paths, f"{where}x"), baseline)
        is_named = where < paths[MOST_PATHS - 1]
        assert (early_or_late.found == f"{where}x") == is_named
        assert is_named or early_or_late.found == f"others among the last {count - MOST_PATHS + 1}"
        assert kept(layered(*paths, f"{where}x")) != baseline

        gone = [path for path in paths if path != where]
        assert bool(live_drift(layered(*gone), baseline)) == (where >= paths[MOST_PATHS] and count > MOST_PATHS + 1)
        assert kept(layered(*gone)) != baseline

    def test_another_path_in_the_place_of_one_beyond_the_cut_is_seen(self) -> None:
        paths = [f"/p{n:05}" for n in range(MOST_PATHS + 5)]
        assert live_drift(layered(*paths[:-1], "/z"), kept(layered(*paths)))

    def test_ignored_paths_neither_count_nor_crowd_others_out(self) -> None:
        ignore = ("web:/var/cache/*",)
        cache = [f"/var/cache/{n:05}" for n in range(MOST_PATHS * 2)]
        baseline = kept(layered("/var/cache", *cache, "/z"), ignore)
        assert baseline.layer == ("/z",)
        found = layered("/var/cache", *cache, "/var/cache/new", "/z", "/y")
        (drift,) = live_drift(found, baseline, ignore=ignore)
        assert drift.found == "/y"
        assert step_back(drift, found, baseline) is None

    @pytest.mark.parametrize(
        ("pattern", "path", "hit"),
        [
            ("web:/tmp/*", "/tmp/x", True),
            ("web:/tmp/*", "/tmp/x/y", True),
            ("web:/tmp/*", "/tmp", True),
            ("web:/tmp/*", "/tmpx", False),
            ("web:/tmp", "/tmp/x", False),
            ("*:/tmp/*", "/tmp/x", True),
            ("w?b:*.pyc", "/a/b.pyc", False),
            ("web:/*.pyc", "/a/b.pyc", True),
            ("api:/tmp/*", "/tmp/x", False),
            ("/tmp/*", "/tmp/x", False),
            ("*.swp", "/a.swp", False),
            ("web:/TMP/*", "/tmp/x", False),
            ("web:/a:b", "/a:b", True),
        ],
    )
    def test_patterns(self, pattern: str, path: str, hit: bool) -> None:
        assert is_ignored(path, "web", (pattern,)) == hit
