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
        ("{*rest}", "/", {}),
        ("{*rest}", "/a/b", {"rest": "a/b"}),
        ("a/{**rest}", "/a/b/c", {"rest": "b/c"}),
        ("", "/", {}),
        ("", "/a", None),
    ],
)  # fmt: skip
def test_route_matches_paths(route, path, params):
    assert RouteTemplate.parse(route).match(path) == params


def test_exact_routes_are_asked_before_parameters_and_those_before_the_rest():
    routes = ["a/{*rest}", "a/{x}", "a/{x:int}", "a/b"]

    ranked = sorted(routes, key=lambda route: RouteTemplate.parse(route).rank)

    assert ranked == ["a/b", "a/{x:int}", "a/{x}", "a/{*rest}"]


@pytest.mark.parametrize("route", ["a/{", "a/}", "a/{x:nothing}", "a/{x:min(y)}"])
def test_malformed_route_is_refused(route):
    with pytest.raises(StartupError, match="the route"):
        RouteTemplate.parse(route)
