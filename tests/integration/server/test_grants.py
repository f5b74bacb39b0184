"""Users who have ``domain`` somewhere give and take permissions there, and only there."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from alchemiscale_prefect import AlchemiscaleClient, AlchemiscaleClientError, Scope
from alchemiscale_prefect.domain.access import Grant, IdentityKind, Permission, Principal
from alchemiscale_prefect.domain.errors import InvalidInput, NotAuthenticated, NotAuthorized, PermissionDenied
from alchemiscale_prefect.domain.identities import MAXIMUM_GRANTS, Access
from alchemiscale_prefect.domain.scopes import MAX_COMPONENT
from alchemiscale_prefect.services import audit, grants, identities
from alchemiscale_prefect.services.logins import Stamps
from tests.api_server import KEY, refused

USER = IdentityKind.user
OPERATOR = Principal.operating()
ORG, CAMPAIGN = Scope("org"), Scope("org", "campaign")
PROJECT = Scope("org", "campaign", "project")


@pytest.fixture
def people(database, cheap_hashes):
    identities.create(database, OPERATOR, USER, "lead", KEY, [Grant(CAMPAIGN, Permission.domain), Scope("other")])
    identities.create(database, OPERATOR, USER, "member", KEY, [Grant(PROJECT, Permission.read)])
    identities.create(database, OPERATOR, USER, "chief", KEY, [Grant(ORG, Permission.domain)])
    identities.create(database, OPERATOR, IdentityKind.compute, "cluster", KEY, [Scope()])


@pytest.fixture
def connected(api_url, people, tmp_path):
    """Gives the client of a user."""
    made = []

    def connect(identifier):
        made.append(AlchemiscaleClient(api_url, identifier, KEY, use_local_cache=False, max_retries=0))
        return made[-1]

    yield connect
    for client in made:
        client.close()


@pytest.fixture
def held(database):
    """What a user may do where."""

    def found(identifier, kind=USER):
        return {str(g.scope): g.permission.value for g in grants.of_identity(database, OPERATOR, kind, identifier)}

    return found


def refusal(call, *arguments):
    with pytest.raises(AlchemiscaleClientError) as caught:
        call(*arguments)
    return caught.value.status_code, caught.value.code


def test_permissions_within_the_domain(connected, held):
    lead = connected("lead")
    lead.grant_scope("member", "org-campaign-*")
    lead.grant_scope("member", PROJECT, "domain")
    assert held("member") == {"org-campaign-*": "write", "org-campaign-project": "domain"}
    lead.revoke_scope("member", PROJECT)
    lead.revoke_scope("member", Scope("org", "campaign", "never_had"))
    assert held("member") == {"org-campaign-*": "write"}


@pytest.mark.parametrize(
    ("scope", "answer"),
    [
        ("org-*-*", (401, "not_authorized")),
        ("*-*-*", (401, "not_authorized")),
        ("org-elsewhere-project", (401, "not_authorized")),
        ("foreign-*-*", (401, "not_authorized")),
        # the lead may write there, no more
        ("other-*-*", (403, "permission_denied")),
        ("other-a-b", (403, "permission_denied")),
    ],
)
@pytest.mark.parametrize("permission", Permission)
def test_nothing_is_given_or_taken_outside_the_domain(connected, held, count_rows, scope, answer, permission):
    lead, before, rows = connected("lead"), held("member"), count_rows()
    assert refusal(lead.grant_scope, "member", scope, permission) == answer
    assert refusal(lead.revoke_scope, "chief", scope) == answer
    assert refusal(lead.get_scope_grants, scope) == answer
    assert (held("member"), count_rows()) == (before, rows)


def test_nobody_changes_their_own_permissions(connected, held, count_rows):
    lead, before, rows = connected("lead"), held("lead"), count_rows()
    for scope in (CAMPAIGN, PROJECT, ORG, "*-*-*", "other-*-*"):
        assert refusal(lead.grant_scope, "lead", scope, "domain") == (403, "permission_denied")
        assert refusal(lead.revoke_scope, "lead", scope) == (403, "permission_denied")
    assert (held("lead"), count_rows()) == (before, rows)


def test_who_may_write_may_not_grant(connected, held, database, count_rows):
    grants.grant(database, OPERATOR, USER, "member", [PROJECT])
    member, rows = connected("member"), count_rows()
    for permission in Permission:
        assert refusal(member.grant_scope, "chief", PROJECT, permission) == (403, "permission_denied")
    assert refusal(member.revoke_scope, "chief", PROJECT) == (403, "permission_denied")
    assert refusal(member.get_scope_grants, PROJECT) == (403, "permission_denied")
    assert count_rows() == rows


def test_other_kinds_of_identities_are_for_administrators(database, people, held):
    lead = Principal("lead", USER, ())
    for kind in (IdentityKind.compute, IdentityKind.admin):
        with pytest.raises(PermissionDenied, match="administrator"):
            grants.revoke(database, lead, kind, "cluster", [PROJECT])
        with pytest.raises(PermissionDenied, match="administrator"):
            grants.of_identity(database, lead, kind, "cluster")
    with pytest.raises(PermissionDenied, match="administrator"):
        grants.grant(database, lead, IdentityKind.compute, "cluster", [Grant(PROJECT)])
    assert held("cluster", IdentityKind.compute) == {"*-*-*": "write"}


def test_no_scopes_at_all_are_a_mistake(database, people, count_rows):
    rows = count_rows()
    for change in (grants.grant, grants.revoke):
        with pytest.raises(InvalidInput, match="no scopes were given"):
            change(database, OPERATOR, USER, "member", [])
    assert count_rows() == rows


def test_nobody_is_given_so_much_that_no_token_can_carry_it(connected, database, held, count_rows):
    chief = connected("chief")
    many = [
        Grant(Scope("org", f"c{n}" + "x" * (MAX_COMPONENT - 4), "x" * MAX_COMPONENT)) for n in range(MAXIMUM_GRANTS - 1)
    ]
    grants.grant(database, OPERATOR, USER, "member", many)
    before, rows = held("member"), count_rows()
    assert len(before) == MAXIMUM_GRANTS
    assert refusal(chief.grant_scope, "member", "org-one_more-*", "read") == (400, "invalid_input")
    with pytest.raises(InvalidInput, match="at most 100 scopes"):
        identities.create(database, OPERATOR, USER, "another", KEY, [*many, ORG, CAMPAIGN])
    assert (held("member"), count_rows()) == (before, rows)
    # what it has can still be changed; and a token of all this is within the 64 KiB that any server takes
    chief.grant_scope("member", PROJECT, "write")
    member = connected("member")
    assert len(member.list_scopes()) == MAXIMUM_GRANTS
    assert len(member._transport._session().token().text) < 60 * 1024


def test_a_user_that_is_not_there(connected, count_rows):
    lead, rows = connected("lead"), count_rows()
    assert refusal(lead.grant_scope, "nobody", PROJECT) == (400, "not_found")
    assert refusal(lead.grant_scope, "cluster", PROJECT) == (400, "not_found")
    assert refusal(lead.revoke_scope, "no\0body", PROJECT) == (400, "not_found")
    assert count_rows() == rows


def test_who_has_access(connected):
    found = connected("lead").get_scope_grants(CAMPAIGN)
    assert found == [
        Access(IdentityKind.compute, "cluster", Grant(Scope(), Permission.write)),
        Access(USER, "chief", Grant(ORG, Permission.domain)),
        Access(USER, "lead", Grant(CAMPAIGN, Permission.domain)),
        Access(USER, "member", Grant(PROJECT, Permission.read)),
    ]
    in_another_project = connected("lead").get_scope_grants("org-campaign-else")
    assert [access.identifier for access in in_another_project] == ["cluster", "chief", "lead"]


def test_the_right_to_grant_is_that_of_the_moment(connected, database, held):
    lead = connected("lead")
    lead.get_scope_grants(CAMPAIGN)
    # its token says otherwise for some seconds more
    grants.grant(database, OPERATOR, USER, "lead", [Grant(CAMPAIGN, Permission.write)])
    assert refusal(lead.grant_scope, "member", PROJECT) == (403, "permission_denied")
    assert held("member") == {"org-campaign-project": "read"}


def at_once(*calls):
    """What each call raised, or ``None``, when all begin together."""
    barrier = threading.Barrier(len(calls))

    def begun(call):
        barrier.wait()
        try:
            call()
        except (NotAuthenticated, NotAuthorized) as error:
            return type(error)
        return None

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(begun, calls))


def test_two_who_take_each_others_rights_do_not_both_succeed(database, people, held):
    identities.create(database, OPERATOR, USER, "rival", KEY, [Grant(CAMPAIGN, Permission.domain)])
    lead, rival = (Principal(name, USER, (Grant(CAMPAIGN, Permission.domain),)) for name in ("lead", "rival"))
    for _ in range(5):
        outcomes = at_once(
            lambda: grants.revoke(database, lead, USER, "rival", [CAMPAIGN]),
            lambda: grants.revoke(database, rival, USER, "lead", [CAMPAIGN]),
        )
        assert outcomes.count(None) == 1
        assert [str(CAMPAIGN) in held(name) for name in ("lead", "rival")].count(True) == 1
        for name in ("lead", "rival"):
            grants.grant(database, OPERATOR, USER, name, [Grant(CAMPAIGN, Permission.domain)])


def test_two_administrators_who_disable_each_other_do_not_both_succeed(database, cheap_hashes):
    names = ("one", "two")
    for name in names:
        identities.create(database, OPERATOR, IdentityKind.admin, name, KEY)
    one, two = (Principal(name, IdentityKind.admin, ()) for name in names)
    for _ in range(5):
        outcomes = at_once(
            lambda: identities.set_disabled(database, one, IdentityKind.admin, "two", True),
            lambda: identities.set_disabled(database, two, IdentityKind.admin, "one", True),
        )
        assert sorted(outcomes, key=str) == [NotAuthenticated, None]
        for name in names:
            identities.set_disabled(database, OPERATOR, IdentityKind.admin, name, False)


def test_a_new_permission_counts_without_logging_in_by_hand(connected, server, database):
    server.app.state.stamps = Stamps(database, 0.0)
    lead, member = connected("lead"), connected("member")
    assert member.list_scopes() == [PROJECT]
    lead.grant_scope("member", "org-campaign-new", "write")
    assert member.query_networks(scope=Scope("org", "campaign", "new")) == []
    assert member.list_scopes() == [Scope("org", "campaign", "new"), PROJECT]


def test_what_was_granted_is_in_the_audit_by_name(connected, database):
    connected("lead").grant_scope("member", PROJECT, "write")
    entry = audit.newest(database, OPERATOR, identifier="lead")[0]
    assert (entry.kind, entry.action, entry.scope, entry.target) == (
        "user",
        "identity.grant",
        str(PROJECT),
        "user/member",
    )
    assert entry.details == {"permission": "write", "before": "read"}


def test_a_body_that_is_no_grant(log_in):
    lead = log_in("lead", [Grant(CAMPAIGN, Permission.domain)])
    path = f"/scopes/{PROJECT}/grants"
    refused(lead.post(path, json={"identifier": "member", "permission": "all"}), 422, "invalid_body", "permission")
    refused(lead.post(path, json={}), 422, "invalid_body", "identifier")
    refused(lead.post("/scopes/nonsense/grants", json={"identifier": "member"}), 422, "invalid_scope", "scope")
