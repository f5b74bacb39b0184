"""Who may grant: permissions include those before them, and nobody gets more than a grantor has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alchemiscale_prefect.domain.access import Grant, IdentityKind, Permission, Principal
from alchemiscale_prefect.domain.errors import NotAuthorized, PermissionDenied
from alchemiscale_prefect.domain.scopes import Scope

letters = st.sampled_from("ab")
scopes = st.integers(0, 3).flatmap(lambda depth: st.tuples(*[letters] * depth)).map(lambda parts: Scope(*parts))
permissions = st.sampled_from(Permission)
grants = st.builds(Grant, scopes, permissions)
PLACES = [Scope(o, c, p) for o in "ab" for c in "ab" for p in "ab"]
USER = IdentityKind.user


def allowed(principal, kind, identifier, scope):
    try:
        principal.require_granting(kind, identifier, scope)
    except NotAuthorized:
        return False
    return True


@given(st.lists(grants, max_size=4), scopes, permissions)
def test_a_permission_over_a_scope_is_one_grant_over_all_of_it(held, scope, permission):
    someone = Principal("someone", USER, tuple(held))
    may = someone.may_access(scope, permission)
    assert may is any(grant.scope.is_superset(scope) and grant.permission.includes(permission) for grant in held)
    # more is not less: who may domain may write, who may write may read
    assert not may or all(someone.may_access(scope, less) for less in Permission if permission.includes(less))
    # a part is not more than the whole
    assert not may or all(someone.may_access(part, permission) for part in PLACES if scope.is_superset(part))


@given(st.lists(grants, max_size=4), st.lists(grants, max_size=4), grants)
def test_what_a_user_gives_reaches_no_further_than_the_domain_of_the_user(held, others, given_away):
    """After any granting that is allowed, the other may do only what it might before or the grantor may."""
    lead, member = Principal("lead", USER, tuple(held)), Principal("member", USER, tuple(others))
    if not allowed(lead, USER, "member", given_away.scope):
        return
    after = Principal("member", USER, (*others, given_away))
    for place in PLACES:
        for permission in Permission:
            if after.may_access(place, permission) and not member.may_access(place, permission):
                assert lead.may_access(place, Permission.domain)


@given(st.lists(grants, max_size=4), scopes)
def test_a_user_grants_where_it_has_domain_and_to_other_users_only(held, scope):
    someone = Principal("someone", USER, tuple(held))
    may = someone.may_access(scope, Permission.domain)
    assert allowed(someone, USER, "other", scope) is may
    assert not allowed(someone, USER, "someone", scope)
    assert not allowed(someone, IdentityKind.compute, "other", scope)
    assert not allowed(someone, IdentityKind.admin, "other", scope)


@given(st.lists(grants, max_size=4), scopes)
def test_compute_grants_nothing_and_an_administrator_anything(held, scope):
    compute = Principal("cluster", IdentityKind.compute, (Grant(Scope(), Permission.domain), *held))
    assert not any(allowed(compute, kind, "other", scope) for kind in IdentityKind)
    root = Principal("root", IdentityKind.admin, ())
    assert all(allowed(root, kind, "other", scope) for kind in IdentityKind)


def test_what_is_refused_says_why():
    lead = Principal("lead", USER, (Grant(Scope("a"), Permission.write),))
    with pytest.raises(PermissionDenied, match="needs the permission 'domain' in scope 'a-b-c'"):
        lead.require_granting(USER, "other", Scope("a", "b", "c"))
    with pytest.raises(NotAuthorized, match="'b-b-c' not accessible") as caught:
        lead.require_granting(USER, "other", Scope("b", "b", "c"))
    assert not isinstance(caught.value, PermissionDenied)


def test_administration_is_for_administrators_and_operators():
    for principal in (Principal("root", IdentityKind.admin, ()), Principal.operating("me")):
        principal.require_administrator()
    for kind in (USER, IdentityKind.compute):
        with pytest.raises(PermissionDenied):
            Principal("someone", kind, (Grant(Scope(), Permission.domain),)).require_administrator()
