"""Scopes: the tables of the reference with its holes closed, and what holds for any of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alchemiscale_prefect.domain.errors import InvalidScope
from alchemiscale_prefect.domain.scopes import MAX_COMPONENT, Scope, intersect_scopes, minimize_scopes

names = st.from_regex(r"[a-zA-Z][a-zA-Z0-9_]{0,5}", fullmatch=True)


@st.composite
def scopes(draw, of=names):
    depth = draw(st.integers(0, 3))
    return Scope(*(draw(of) for _ in range(depth)))


few = scopes(st.sampled_from("ab"))


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ((), (None, None, None)),
        (("*", "*", "*"), (None, None, None)),
        (("org", "*", None), ("org", None, None)),
        (("org", "campaign", "*"), ("org", "campaign", None)),
        (("org", "campaign", "project"), ("org", "campaign", "project")),
        (("O_1", "c2_", "Z"), ("O_1", "c2_", "Z")),
    ],
)
def test_what_is_a_scope(given_, expected):
    scope = Scope(*given_)
    assert scope.to_tuple() == expected
    assert scope.specific() is (None not in expected)
    assert str(scope) == "-".join(part or "*" for part in expected)
    assert repr(scope) == f"<Scope('{scope}')>"


@pytest.mark.parametrize(
    ("given_", "field"),
    [
        (("",), "org"),
        (("1org",), "org"),
        (("_org",), "org"),
        (("my-org",), "org"),
        (("my org",), "org"),
        (("org\n",), "org"),
        (("örg",), "org"),
        (("org٣",), "org"),
        (("**",), "org"),
        (("org*",), "org"),
        ((1,), "org"),
        ((b"org",), "org"),
        (("o" * 129,), "org"),
        (("org", "campaign", "p" * 10_000), "project"),
        (("org", "-"), "campaign"),
        (("org", "campaign", "p p"), "project"),
        # wildcards stand on the right only; alchemiscale takes the second of these
        ((None, "campaign", None), "campaign"),
        (("*", "a", "b"), "campaign"),
        (("*", "*", "b"), "project"),
        (("org", None, "project"), "project"),
    ],
)
def test_what_is_none(given_, field):
    with pytest.raises(InvalidScope) as caught:
        Scope(*given_)
    assert caught.value.field == field
    assert isinstance(caught.value, ValueError)


def test_the_message_of_a_bad_part_is_alchemiscales():
    with pytest.raises(InvalidScope, match="contain only alphanumeric or underscore"):
        Scope("a-b")


def test_a_part_as_long_as_may_be():
    assert Scope("o" * MAX_COMPONENT).org == "o" * MAX_COMPONENT


@pytest.mark.parametrize("string", ["", "a", "a-b", "a-b-c-d", "a--b", "-a-b", "*-a-b", "*-*-c", "a-*-c"])
def test_strings_that_are_none(string):
    with pytest.raises(InvalidScope):
        Scope.from_str(string)


@pytest.mark.parametrize("mapping", [{"org": "a", "scope": "b"}, "a-b-c", None, {"org": 1}])
def test_mappings_that_are_none(mapping):
    with pytest.raises(InvalidScope):
        Scope.from_dict(mapping)


@given(scopes())
def test_any_scope_survives_every_form(scope):
    assert Scope.from_str(str(scope)) == scope
    assert Scope.from_dict(scope.to_dict()) == scope
    assert Scope(*scope.to_tuple()) == scope
    assert hash(Scope.from_str(str(scope))) == hash(scope)


@given(scopes(), scopes())
def test_order_is_that_of_strings_and_equality_that_of_parts(one, two):
    assert (one < two) is (str(one) < str(two))
    assert (one == two) is (str(one) == str(two))


def test_a_scope_is_not_comparable_with_other_things():
    assert Scope("a") != "a-*-*"
    with pytest.raises(TypeError):
        _ = Scope("a") < "b"


@pytest.mark.parametrize(
    ("larger", "smaller", "covers"),
    [
        ("*-*-*", "a-b-c", True),
        ("*-*-*", "*-*-*", True),
        ("a-*-*", "a-b-*", True),
        ("a-b-*", "a-b-c", True),
        ("a-b-c", "a-b-c", True),
        ("a-*-*", "b-*-*", False),
        ("a-b-*", "a-*-*", False),
        ("a-b-c", "a-b-*", False),
        ("a-b-c", "a-b-d", False),
        ("a-b-*", "a-c-c", False),
    ],
)
def test_supersets(larger, smaller, covers):
    assert Scope.from_str(larger).is_superset(Scope.from_str(smaller)) is covers


@given(few, few, few)
def test_covering_is_an_order(one, two, three):
    assert one.is_superset(one)
    if one.is_superset(two) and two.is_superset(one):
        assert one == two
    if one.is_superset(two) and two.is_superset(three):
        assert one.is_superset(three)


EVERY_SPECIFIC = [Scope(org, campaign, project) for org in "ab" for campaign in "ab" for project in "ab"]


def space(scopes_):
    return {specific for specific in EVERY_SPECIFIC if any(scope.is_superset(specific) for scope in scopes_)}


@given(st.lists(few, max_size=8))
def test_minimised_scopes_cover_the_same_and_none_covers_another(given_):
    minimal = minimize_scopes(given_)
    assert space(minimal) == space(given_)
    assert list(minimal) == sorted(set(minimal))
    assert not any(a != b and a.is_superset(b) for a in minimal for b in minimal)


@given(few, st.lists(few, max_size=8))
def test_an_intersection_covers_what_both_cover(query, held):
    assert space(intersect_scopes(query, held)) == space([query]) & space(held)


@pytest.mark.parametrize(
    ("query", "held", "expected"),
    [
        ("*-*-*", ["*-*-*"], ["*-*-*"]),
        ("a-b-c", ["*-*-*"], ["a-b-c"]),
        ("a-b-c", ["a-b-*", "d-*-*"], ["a-b-c"]),
        ("*-*-*", ["a-b-c", "d-*-*"], ["a-b-c", "d-*-*"]),
        ("*-*-*", ["a-b-c", "a-*-*", "a-b-*"], ["a-*-*"]),
        ("a-*-*", ["a-b-c", "d-*-*"], ["a-b-c"]),
        ("a-*-*", ["d-*-*"], []),
        ("a-b-c", ["a-b-d"], []),
        ("a-b-c", [], []),
    ],
)
def test_intersections(query, held, expected):
    found = intersect_scopes(Scope.from_str(query), map(Scope.from_str, held))
    assert list(map(str, found)) == expected
