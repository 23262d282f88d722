"""Metric gates against a real Prometheus: what passes, what breaches, and what is only silence."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from reconciler.adapters.gates.login import login_headers
from reconciler.adapters.gates.metrics import MetricCheck
from reconciler.adapters.gates.names import Names
from reconciler.adapters.transport.local import LocalTransport
from reconciler.adapters.transport.ssh import SshTransport
from reconciler.model.measure import Measurement, Outcome, Served, Subject
from reconciler.model.measured_gates import MetricGate
from reconciler.ports import Transport
from tests.integration.test_gates import WallClock, accepting, answer, over, serving
from tests.world.network import free_port
from tests.world.prometheus import Exporter, Prometheus, exporter, prometheus
from tests.world.sshd import ssh_server

OLD, NEW = "20260122_101500", "20260122_111500"


@dataclass(frozen=True)
class Scraped:
    """One Prometheus and what it scrapes, since `began`."""

    prometheus: Prometheus
    exporter: Exporter
    began: datetime


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    with exporter(errors=0.25, broken=float("nan"), requests_total=1) as app:
        app.values['shown{side="left"}'] = 1
        app.values['shown{side="right"}'] = 2
        began = datetime.now(UTC)
        with prometheus(tmp_path_factory.mktemp("metrics"), targets=[app.address]) as server:
            server.await_query("errors")
            yield Scraped(server, app, began)


def gate(
    server: str,
    *,
    since: datetime,
    before: Served | None = None,
    transport: Transport | None = None,
    directory: Path = Path("/"),
    **spec: Any,
) -> MetricCheck:
    """A gate over the release NEW that was switched to at `since`."""
    settings: Mapping[str, Any] = {"name": "m", "prometheus": server, "query": "errors", "timeout": "5s", **spec}
    if not {"max", "min", "baseline"} & settings.keys():
        settings = {**settings, "max": 0.5}
    model = MetricGate.model_validate(settings)
    return MetricCheck(
        model,
        transport or LocalTransport(),
        Names("observer", "prod", Subject(NEW, since, before)),
        headers=login_headers(model.login, directory, learned.append),
        clock=WallClock(),
        redact=lambda text: text,
    )


learned: list[SecretStr] = []


def measure(scraped: Scraped, query: str, **spec: Any) -> Measurement:
    """One measurement; the switch was when the exporter began."""
    return gate(scraped.prometheus.url, since=scraped.began, query=query, **spec).measure()


class TestNumbers:
    def test_a_number_within_its_limits_passes_and_is_kept_with_its_query(self, scraped: Scraped) -> None:
        measured = measure(scraped, "errors  *\n 2", max=0.5, min=0.1)
        assert (measured.outcome, measured.value, measured.seen) == (Outcome.PASS, 0.5, "0.5")
        assert measured.query == "errors * 2"

    @pytest.mark.parametrize(("limits", "seen"), [({"max": 0.2}, "0.25, above 0.2"), ({"min": 0.3}, "0.25, below 0.3")])
    def test_a_number_over_a_limit_breaches(self, scraped: Scraped, limits: dict[str, Any], seen: str) -> None:
        measured = measure(scraped, "errors", **limits)
        assert (measured.outcome, measured.value, measured.seen) == (Outcome.BREACH, 0.25, seen)

    def test_a_scalar_is_a_number(self, scraped: Scraped) -> None:
        assert measure(scraped, "scalar(errors)").value == 0.25

    def test_variables_name_the_release_and_the_time_since_the_switch(self, scraped: Scraped) -> None:
        scraped.prometheus.await_query("count_over_time(errors[1m]) > 1")
        query = 'count_over_time(errors[$since]) + on() group_left() label_replace(vector(0), "t", "$tag", "", "") * 0'
        measured = measure(scraped, query, max=1000)
        assert measured.outcome is Outcome.PASS
        assert NEW in measured.query
        assert "ms]" in measured.query


class TestSilence:
    @pytest.mark.parametrize(
        ("query", "outcome", "seen"),
        [
            ("nothing", Outcome.NO_DATA, "an empty vector"),
            ("shown", Outcome.NO_DATA, "2 series and not one number"),
            ("broken", Outcome.NO_DATA, "NaN, which is no number"),
            ("errors / 0", Outcome.NO_DATA, "+Inf, which is no number"),
            ('"text"', Outcome.ERROR, "gives a string"),
            ("errors[$since]", Outcome.ERROR, "gives a matrix"),
            ("errors +", Outcome.ERROR, "answered 400, bad_data: invalid parameter"),
            ("sum by (errors", Outcome.ERROR, "answered 400, bad_data"),
        ],
    )
    def test_what_is_no_number_says_nothing_of_the_app(
        self, scraped: Scraped, query: str, outcome: Outcome, seen: str
    ) -> None:
        measured = measure(scraped, query)
        assert (measured.outcome, measured.value) == (outcome, None)
        assert seen in measured.seen

    def test_a_prometheus_that_is_down_is_an_error(self, scraped: Scraped) -> None:
        measured = gate(f"http://127.0.0.1:{free_port()}", since=scraped.began).measure()
        assert measured.outcome is Outcome.ERROR
        assert measured.seen.endswith("connection refused")

    @pytest.mark.parametrize(
        ("status", "body", "seen"),
        [
            (503, b"Service Unavailable\n", "answered 503 without JSON: Service Unavailable"),
            (200, b"<html>", "answered 200 without JSON: <html>"),
            (200, b'{"status":"success","data":{"resultType":"vec', "answered 200 without JSON"),
            (200, b'{"status":"success","data":{}}', "no result of a query"),
            (200, b"[1]", "without JSON"),
            (200, b" " * (1024 * 1024 + 1), "longer than 1024 KiB"),
            (422, b'{"status":"error","errorType":"execution","error":"too many samples"}', "execution: too many"),
            (503, b'{"status":"error","errorType":"timeout","error":"query timed out"}', "timeout: query timed out"),
            (401, b"", "refuses the login"),
            (500, b'{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}', "answered 500 with a"),
        ],
    )
    def test_every_other_answer_is_an_error_with_its_reason(self, status: int, body: bytes, seen: str) -> None:
        with serving(answer(status, body)) as port:
            measured = gate(f"http://127.0.0.1:{port}", since=ago(60)).measure()
        assert measured.outcome is Outcome.ERROR
        assert seen in measured.seen

    def test_a_redirect_is_not_followed(self) -> None:
        with serving(answer(302, headers={"Location": "/login"})) as port:
            measured = gate(f"http://127.0.0.1:{port}", since=ago(60)).measure()
        assert (measured.outcome, "to /login, which isn't followed" in measured.seen) == (Outcome.ERROR, True)

    def test_an_answer_that_is_cut_off_is_an_error(self) -> None:
        with serving(answer(200, b'{"status":', headers={"Content-Length": "500"})) as port:
            measured = gate(f"http://127.0.0.1:{port}", since=ago(60)).measure()
        assert (measured.outcome, "cut off" in measured.seen) == (Outcome.ERROR, True)

    def test_no_answer_in_time_is_an_error(self) -> None:
        def silent(connection: socket.socket) -> None:
            connection.recv(65536)
            connection.recv(1)  # until the other end has had enough

        with accepting(silent) as port:
            measured = gate(f"http://127.0.0.1:{port}", since=ago(60), timeout="300ms").measure()
        assert measured.outcome is Outcome.ERROR
        assert "no answer within 0.3 s" in measured.seen

    @pytest.mark.parametrize(
        ("warning", "outcome"),
        [("PromQL info: might not be a counter", Outcome.PASS), ("partial response", Outcome.INCONCLUSIVE)],
    )
    def test_a_warning_that_the_answer_is_partial_proves_nothing(self, warning: str, outcome: Outcome) -> None:
        result = '{"resultType":"scalar","result":[1,"0.1"]}'
        body = f'{{"status":"success","warnings":["{warning}"],"data":{result}}}'.encode()
        with serving(answer(200, body)) as port:
            measured = gate(f"http://127.0.0.1:{port}", since=ago(60), query="rate(x[$since])").measure()
        assert measured.outcome is outcome


class TestFreshness:
    def test_a_sample_from_before_the_switch_is_no_data_until_the_next_scrape(self, scraped: Scraped) -> None:
        scraped.exporter.await_scrapes(1)
        scraped.prometheus.await_query("time() - timestamp(errors) < 0.6")
        check = gate(scraped.prometheus.url, since=datetime.now(UTC))
        measured = check.measure()
        assert (measured.outcome, measured.value) == (Outcome.NO_DATA, None)
        assert "a sample of errors is from before the switch" in measured.seen
        scraped.exporter.await_scrapes(1)
        scraped.prometheus.await_query("time() - timestamp(errors) < 0.5")
        assert check.measure().outcome is Outcome.PASS

    def test_a_sample_that_is_too_old_is_no_data(self, tmp_path: Path) -> None:
        with exporter(errors=0.1) as app, prometheus(tmp_path, targets=[app.address], scrape_interval="5s") as server:
            server.await_query("errors")
            server.await_query("time() - timestamp(errors) > 0.4")
            measured = gate(server.url, since=ago(120), max_age="300ms").measure()
        assert measured.outcome is Outcome.NO_DATA
        assert "older than 0.3 s" in measured.seen

    def test_a_range_that_is_written_out_makes_it_due_when_it_is_over(self) -> None:
        since = ago(0)
        assert gate("http://x", since=since, query="rate(x[5m])").limits.due == since + timedelta(minutes=5)
        assert gate("http://x", since=since, query="rate(x[$since])").limits.due is None
        late = gate("http://x", since=since, query="rate(x[30s])", initial_delay="2m")
        assert late.limits.due == since + timedelta(minutes=2)


@pytest.fixture(scope="module")
def switched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Prometheus, Served, datetime]]:
    """`latency` was 2 and is 3 since the switch; `none` was 0 and is 1."""
    before = Served(OLD, ago(0))
    with (
        exporter(latency=2, none=0) as app,
        prometheus(tmp_path_factory.mktemp("switched"), targets=[app.address]) as server,
    ):
        server.await_query("count_over_time(latency[1m]) >= 2")
        since = datetime.now(UTC)
        app.set(latency=3, none=1)
        server.await_query("latency == 3 and none == 1")
        yield server, before, since


class TestBaseline:
    @pytest.mark.parametrize(
        ("query", "limits", "outcome", "seen"),
        [
            ("latency", {"max_ratio": 1.6}, Outcome.PASS, "3, before it was 2"),
            ("latency", {"max_ratio": 1.4}, Outcome.BREACH, "a ratio of 1.5, above 1.4"),
            ("latency", {"min_ratio": 1.6}, Outcome.BREACH, "a ratio of 1.5, below 1.6"),
            ("latency", {"max_difference": 1}, Outcome.PASS, "before it was 2"),
            ("latency", {"max_difference": 0.5}, Outcome.BREACH, "a difference of 1, above 0.5"),
            ("-latency", {"min_difference": -0.5}, Outcome.BREACH, "a difference of -1, below -0.5"),
            ("latency", {"max_ratio": 9, "max": 2.5}, Outcome.BREACH, "3, above 2.5"),
            ("none", {"max_ratio": 2}, Outcome.INCONCLUSIVE, "no ratio to that"),
            ("none", {"max_ratio": 2, "max_difference": 1}, Outcome.PASS, "before it was 0"),
            ("latency > 2.5", {"max_ratio": 2}, Outcome.INCONCLUSIVE, f"nothing to compare with from {OLD}"),
            ("max_over_time(latency[1h])", {"max_ratio": 2}, Outcome.INCONCLUSIVE, "looks back 3600 s"),
        ],
    )
    def test_the_release_before_is_the_measure(
        self,
        switched: tuple[Prometheus, Served, datetime],
        query: str,
        limits: dict[str, Any],
        outcome: Outcome,
        seen: str,
    ) -> None:
        server, before, since = switched
        measured = gate(server.url, since=since, before=before, query=query, baseline="previous", **limits).measure()
        assert (measured.outcome, seen in measured.seen) == (outcome, True), measured.seen

    def test_a_first_release_is_not_compared(self, switched: tuple[Prometheus, Served, datetime]) -> None:
        server, _, since = switched
        alone = gate(server.url, since=since, query="latency", baseline="previous", max_ratio=2)
        assert "no release served before" in alone.limits.skipped
        limited = gate(server.url, since=since, query="latency", baseline="previous", max_ratio=2, max=4)
        assert limited.limits.skipped == ""
        assert limited.measure().outcome is Outcome.PASS


class TestLogin:
    @pytest.mark.parametrize(
        ("login", "sent"),
        [
            ({"token": {"env": "PROM_TOKEN"}}, "Bearer hunter2"),
            ({"username": "ops", "password": {"file": "secret"}}, "Basic b3BzOmh1bnRlcjI="),
        ],
    )
    def test_it_is_sent_and_learned_first(
        self, login: dict[str, Any], sent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "secret").write_text("hunter2\n")
        monkeypatch.setenv("PROM_TOKEN", "hunter2")
        seen: list[str | None] = []

        def keep(request: Any) -> None:
            seen.append(request.headers.get("Authorization"))
            answer(401)(request)

        learned.clear()
        with serving(keep) as port:
            gate(f"http://127.0.0.1:{port}", since=ago(60), login=login, directory=tmp_path).measure()
        assert seen == [sent]
        assert learned[0].get_secret_value() == "hunter2"

    def test_what_is_not_there_is_an_error_that_names_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("PROM_TOKEN", raising=False)
        measured = gate("http://127.0.0.1:9", since=ago(60), login={"token": {"env": "PROM_TOKEN"}}).measure()
        assert measured.outcome is Outcome.ERROR
        assert "PROM_TOKEN isn't set" in measured.seen


@pytest.mark.engine
def test_from_the_target_it_goes_through_the_connection(scraped: Scraped, tmp_path: Path) -> None:
    with ssh_server(tmp_path) as server:
        transport: SshTransport = over(server)
        spec: dict[str, Any] = {"transport": transport, "from": "target"}
        assert measure(scraped, "errors", **spec).outcome is Outcome.PASS
        down = gate(f"http://127.0.0.1:{free_port()}", since=scraped.began, **spec).measure()
        assert (down.outcome, "connection refused" in down.seen) == (Outcome.ERROR, True)
        transport.close()


def ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)
