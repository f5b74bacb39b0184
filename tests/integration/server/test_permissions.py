"""Who may only read changes nothing, by any route; and what is asked of every route here is what its owner may ask."""

import itertools

import pytest

from alchemiscale_prefect.domain.access import Grant, IdentityKind, Permission
from alchemiscale_prefect.domain.scopes import Scope
from tests.api_server import refused
from tests.integration.server.every_request import every_request, make_home, rows_of

ORG = Scope("mine")
# POST, since their bodies are long; they change nothing
READING = {
    "/bulk/networks/details/get",
    "/bulk/networks/restartpatterns/get",
    "/bulk/networks/state/get",
    "/bulk/networks/status",
    "/bulk/networks/tasks/actioned",
    "/bulk/networks/weight/get",
    "/bulk/tasks/details/get",
    "/bulk/tasks/priority/get",
    "/bulk/tasks/progress/get",
    "/bulk/tasks/status/get",
    "/networks/{network}/tasks/actioned",
    "/tasks/{task}/networks/actioned",
}
# as alchemiscale has it
CHANGING = {"/networks/{network}/restartpatterns/clear"}


def changes(request) -> bool:
    return request.path in CHANGING or (request.method != "GET" and request.path not in READING)


def of_users(home):
    """What users ask for; an identity's own scopes are nobody else's affair, whatever it may do."""
    return [
        request
        for request in every_request(home)
        if request.kind is IdentityKind.user and request.path != "/identities/{identity}/scopes"
    ]


@pytest.fixture
def homes(system):
    """Gives a scope with something in it, a new one each time."""
    numbers = itertools.count()
    return lambda: make_home(system.database, system.objects, Scope("mine", "campaign", f"project_{next(numbers)}"))


def test_the_owner_may_do_everything_and_what_should_change_something_does(system, log_in, homes):
    owner = log_in("owner", [Grant(ORG, Permission.domain)])
    home = homes()
    asked = of_users(home)
    assert len(asked) > 50
    before = rows_of(system.database)
    for n in range(len(asked)):
        request = of_users(home)[n]
        answer = request.send(owner)
        assert answer.is_success, (str(request), answer.text)
        after = rows_of(system.database)
        assert (after != before) is changes(request), str(request)
        if changes(request):
            home = homes()
            after = rows_of(system.database)
        before = after


def test_who_may_only_read_changes_nothing(system, log_in, homes):
    home = homes()
    reader = log_in("reader", [Grant(ORG, Permission.read)])
    before = rows_of(system.database)
    for request in of_users(home):
        answer = request.send(reader)
        if changes(request) or request.path == "/scopes/{scope}/grants":
            refused(answer, 403, "permission_denied", "scope")
        else:
            assert answer.is_success, (str(request), answer.text)
    assert rows_of(system.database) == before


def test_a_compute_identity_that_may_only_read_changes_nothing(system, log_in, homes):
    home = homes()
    reader = log_in("reader", [Grant(ORG, Permission.read)], IdentityKind.compute)
    before = rows_of(system.database)
    for request in every_request(home):
        if request.kind is not IdentityKind.compute:
            continue
        answer = request.send(reader)
        if request.method != "GET":
            refused(answer, 403, "permission_denied", "scope")
        elif not request.path.endswith("/extends"):
            assert answer.is_success, (str(request), answer.text)
    assert rows_of(system.database) == before
