"""Who sees what."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alchemiscale_prefect.domain.access import IdentityKind, Principal
from alchemiscale_prefect.domain.errors import NotAuthorized
from alchemiscale_prefect.domain.scopes import Scope

letters = st.sampled_from("ab")
scopes = st.integers(0, 3).flatmap(lambda depth: st.tuples(*[letters] * depth)).map(lambda parts: Scope(*parts))


def principal(*held):
    return Principal.writing("someone", IdentityKind.user, tuple(held))


def test_a_foreign_scope_is_refused_with_alchemiscales_text():
    someone = principal(Scope("a", "b"), Scope("c"))
    someone.require(Scope("a", "b", "x"))
    with pytest.raises(NotAuthorized) as caught:
        someone.require(Scope("a", "x", "y"))
    assert str(caught.value) == (
        "Targeted scope 'a-x-y' not accessible via scopes for this identity: ['a-b-*', 'c-*-*']"
    )
    assert caught.value.field == "scope"


def test_one_foreign_scope_among_many_is_enough():
    someone = principal(Scope("a"))
    someone.require_all([])
    someone.require_all([Scope("a", "b", "c"), Scope("a")])
    with pytest.raises(NotAuthorized, match="'b-b-b'"):
        someone.require_all([Scope("a", "b", "c"), Scope("b", "b", "b")])


def test_who_has_no_scope_sees_nothing():
    nobody = principal()
    assert not nobody.may_access(Scope("a", "b", "c"))
    assert nobody.visible(Scope()) == ()


@given(st.lists(scopes, max_size=4), scopes)
def test_what_is_visible_is_accessible_and_all_that_is(held, query):
    someone = principal(*held)
    visible = someone.visible(query)
    assert all(someone.may_access(scope) and query.is_superset(scope) for scope in visible)
    for specific in (Scope(o, c, p) for o in "ab" for c in "ab" for p in "ab"):
        seen = any(scope.is_superset(specific) for scope in visible)
        assert seen is (query.is_superset(specific) and someone.may_access(specific))
