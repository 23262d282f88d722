"""What a gate has to know of a query: its variables, how far back it looks, and the samples that it is made of."""

from __future__ import annotations

import pytest

from reconciler.model.promql import expanded, fixed_moment, reach, selectors, since_text, unknown_variable

VALUES = {"app": "observer", "target": "prod", "tag": "20260122_101500", "since": "1500ms"}


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ('x{app="$app",tag="$tag"}', 'x{app="observer",tag="20260122_101500"}'),
        ("rate(x[$since])", "rate(x[1500ms])"),
        ('x{path=~"/api$"}', 'x{path=~"/api$"}'),
        ('x{path=~"/a$|/b$"}', 'x{path=~"/a$|/b$"}'),
        ('x{price="$$app"}', 'x{price="$app"}'),
        ("$since:$target", "1500ms:prod"),
    ],
)
def test_variables_are_replaced_and_other_dollars_stay(query: str, text: str) -> None:
    assert unknown_variable(query) is None
    assert expanded(query, VALUES) == text


def test_a_value_cannot_end_the_string_that_it_is_in() -> None:
    evil = {**VALUES, "app": "a\"} or vector(0) #'\n\\"}
    assert expanded('x{app="$app"}', evil) == 'x{app="a\\"} or vector(0) #\\\'\\n\\\\"}'


@pytest.mark.parametrize(
    ("query", "unknown"), [("x[$__rate_interval]", "$__rate_interval"), ("x[${since}]", "${"), ("$sinces", "$sinces")]
)
def test_another_variable_is_found(query: str, unknown: str) -> None:
    assert unknown_variable(query) == unknown


@pytest.mark.parametrize(("seconds", "text"), [(12.3456, "12345ms"), (0.0001, "1ms"), (600.0, "600000ms")])
def test_since_is_rounded_down(seconds: float, text: str) -> None:
    assert since_text(seconds) == text


@pytest.mark.parametrize(
    ("query", "seconds"),
    [
        ("up", 0),
        ("rate(x[5m])", 300),
        ("rate(x[1h30m])", 5400),
        ("rate(x[300])", 300),
        ("rate(x[$since])", 0),
        ("rate(a[5m]) / rate(b[1m])", 300),
        ("x offset 5m", 300),
        ("rate(x[5m] offset 1h)", 3900),
        ("max_over_time(rate(x[5m])[1h:1m])", 3900),
        ('x{a="[5m]"}', 0),
        ("x # [5m]\n", 0),
        ("x{a='offset 5m'}", 0),
    ],
)
def test_a_query_looks_back_as_far_as_it_says(query: str, seconds: float) -> None:
    assert reach(query) == seconds


@pytest.mark.parametrize(
    ("query", "is_fixed"), [("x @ 1609746000", True), ("x @ end()", False), ('x{a="@ 5"}', False), ("x", False)]
)
def test_a_fixed_moment_is_found(query: str, is_fixed: bool) -> None:
    assert fixed_moment(query) is is_fixed


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("up", [("up", False)]),
        ('up{job="a b"}', [('up{job="a b"}', False)]),
        ('{__name__="up"}', [('{__name__="up"}', False)]),
        ("rate(x[5m])", [("x", True)]),
        ('rate(x{a="}["}[5m])', [('x{a="}["}', True)]),
        ("sum by (job) (a) / on (job) group_left (node) b", [("a", False), ("b", False)]),
        ("sum(a) without (x)", [("a", False)]),
        ("avg without(inst) (job:rate5m{})", [("job:rate5m{}", False)]),
        ("max_over_time(g[5m:1m])", [("g", False)]),
        ("rate(x[5m]) + x", [("x", False)]),
        ("time() - 1e3 > bool Inf", []),
        ("vector(1) unless a and b", [("a", False), ("b", False)]),
        ("x offset 5m @ end()", [("x", False)]),
        ("histogram_quantile(0.9, sum(rate(b[1m])) by (le))", [("b", True)]),
        ("-x ^ 2", [("x", False)]),
    ],
)
def test_the_samples_that_a_query_is_made_of_are_found(query: str, found: list[tuple[str, bool]]) -> None:
    assert [(each.text, each.ranged) for each in selectors(query)] == found
