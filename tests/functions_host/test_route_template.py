"""Routes of HTTP functions match as ASP.NET's do, as far as Functions apps use them."""

import pytest

from local_runtime.errors import StartupError
from local_runtime.functions_host.web.route_template import RouteTemplate


@pytest.mark.parametrize(
    ("route", "path", "params"),
    [
        ("a/b", "/a/b", {}),
        ("a/b", "/A/B/", {}),
        ("a/b", "/a/b/c", None),
        ("a/b", "/a", None),
        ("a.b", "/axb", None),
        ("{x}", "/1", {"x": "1"}),
        ("{x}", "/", None),
        ("a/{x}", "/a/Ü b", {"x": "Ü b"}),
        ("a/{x?}", "/a", {}),
        ("a/{x?}", "/a/1", {"x": "1"}),
        ("a/{x=5}", "/a", {"x": "5"}),
        ("a/{x:int}", "/a/-12", {"x": "-12"}),
        ("a/{x:int}", "/a/1.5", None),
        ("a/{x:int?}", "/a", {}),
        ("a/{x:int:min(3)}", "/a/2", None),
        ("a/{x:int:min(3)}", "/a/3", {"x": "3"}),
        ("a/{x:range(1,3)}", "/a/4", None),
        ("a/{x:length(2)}", "/a/abc", None),
        ("a/{x:maxlength(2)}", "/a/ab", {"x": "ab"}),
        ("a/{x:bool}", "/a/True", {"x": "True"}),
        ("a/{x:alpha}", "/a/a1", None),
        ("a/{x:guid}", "/a/123e4567-e89b-12d3-a456-426614174000",
         {"x": "123e4567-e89b-12d3-a456-426614174000"}),
        ("a/{x}-{y}", "/a/1-2", {"x": "1", "y": "2"}),
        ("a/{x}.json", "/a/b.json", {"x": "b"}),
        ("a/{x}/c", "/a/b/c", {"x": "b"}),
        ("a/{x=5}/b", "/a/b", None),
        ("a/{x?}/{y?}", "/a/1", {"x": "1"}),
        ("a/{x?}/{y?}", "/a//1", None),
        ("a/{x:int=5}", "/a/x", None),
        ("{x}-{y}", "/a-b-c", {"x": "a-b", "y": "c"}),
        ("{name}.{ext?}", "/a", {"name": "a"}),
        ("{name}.{ext?}", "/a.b.c", {"name": "a.b", "ext": "c"}),
        ("v{x:int}", "/v7", {"x": "7"}),
        ("a/{*rest=none}", "/a", {"rest": "none"}),
        ("a/{*rest:alpha}", "/a/b1", None),
        ("a/{*rest}", "/a/b/", {"rest": "b/"}),
        ("a/{x:regex(^[a-z]{{2}}/?$)}", "/a/ab", {"x": "ab"}),
        ("a/{x:regex(^[a-z]{{2}}$)}", "/a/abc", None),
        ("a/{x:regex(^(b|c)$):length(1)}", "/a/c", {"x": "c"}),
        ("a/{x:regex((b)c)}", "/a/bc", {"x": "bc"}),
        ("{*rest}", "/", {}),
        ("{*rest}", "/a/b", {"rest": "a/b"}),
        ("a/{**rest}", "/a/b/c", {"rest": "b/c"}),
        ("", "/", {}),
        ("", "/a", None),
    ],
)  # fmt: skip
def test_route_matches_paths(route, path, params):
    assert RouteTemplate.parse(route).match(path) == params


@pytest.mark.parametrize(
    ("constraint", "good", "bad"),
    [
        ("int", ["0", "-1", "+1", " 7", "2147483647"], ["2147483648", "1.0", "1e1",
         "\u0661", "9" * 5000]),
        ("long", ["-9223372036854775808"], ["9223372036854775808", "x"]),
        ("bool", ["true", "False", " TRUE "], ["1", "yes"]),
        ("guid", ["123e4567e89b12d3a456426614174000", "{123e4567-e89b-12d3-a456-426614174000}",
                  "(123E4567-E89B-12D3-A456-426614174000)"],
         ["123e4567-e89b-12d3-a456-42661417400", "123e4567e89b-12d3a456426614174000"]),
        ("alpha", ["abcXYZ"], ["a1", "ü", "a b"]),
        ("decimal", ["1", "-1.5", ".5", "1,000.25", "5-"], ["1e5", "NaN", "."]),
        ("double", ["1", "-1.5e-3", "NaN", "Infinity", "1,000"], ["1f", "e5"]),
        ("float", ["3.14", "-∞"], ["0x1"]),
        ("datetime", ["2026-01-31", "2026-01-31T10:00:00Z", "01-31-2026", "1-31-2026 10:00 PM",
                      "31 Jan 2026", "10:30"], ["2026-02-30", "20260131", "31-01-2026x", "soon"]),
        ("required", ["x"], []),
        ("length(2)", ["ab"], ["a", "abc"]),
        ("length(1,2)", ["a", "ab"], ["abc"]),
        ("minlength(2)", ["ab", "abc"], ["a"]),
        ("maxlength(2)", ["ab", "a"], ["abc"]),
        ("min(-2)", ["-2", "0"], ["-3", "x", "0.5"]),
        ("max(3)", ["3", "-9"], ["4"]),
        ("range(1,3)", ["1", "3"], ["0", "4"]),
        ("file", ["a.txt", "a.b.c"], ["a", "a."]),
        ("nonfile", ["a", "a."], ["a.txt"]),
    ],
)  # fmt: skip
def test_constraint_takes_and_leaves_values(constraint, good, bad):
    route = RouteTemplate.parse(f"a/{{x:{constraint}}}")

    assert [value for value in good if route.match(f"/a/{value}") is None] == []
    assert [value for value in bad if route.match(f"/a/{value}") is not None] == []


def test_exact_routes_are_asked_before_parameters_and_those_before_the_rest():
    routes = [
        "a/{*rest}", "a/{*rest:alpha}", "a/{x}", "{x}/b", "a/{x:int}", "a/b/{x?}", "a/b",
    ]  # fmt: skip

    ranked = sorted(routes, key=lambda route: RouteTemplate.parse(route).rank)

    assert ranked == [
        "a/b", "a/b/{x?}", "a/{x:int}", "a/{x}", "a/{*rest:alpha}", "a/{*rest}", "{x}/b",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "route",
    ["a/{", "a/}", "a/{x:nothing}", "a/{x:min(y)}", "a/{x:range(1)}", "a/{x:regex(()}",
     "a/{x:int(1)}", "a/{x:min(1}", "{x}/{X}", "a//b", "{x}{y}", "{*x}/a", "a{*x}", "{x?}a",
     "a{x?}", "{*x?}", "{x=1?}", "{}", "{x/y}", "{a{b}}"],
)  # fmt: skip
def test_malformed_route_is_refused(route):
    with pytest.raises(StartupError, match="the route"):
        RouteTemplate.parse(route)
