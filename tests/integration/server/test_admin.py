"""Administration over HTTP, with AlchemiscaleAdminClient: identities, keys, permissions, the audit, metrics."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlalchemy import text

from alchemiscale_prefect import AlchemiscaleAdminClient, AlchemiscaleClientError, Scope
from alchemiscale_prefect.domain.access import Grant, IdentityKind, Permission, Principal
from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.domain.metrics import PoolMetrics
from alchemiscale_prefect.services import identities, logins
from alchemiscale_prefect.services.logins import Stamps
from tests.api_server import KEY, SCOPE, refused

USER, COMPUTE, ADMIN = IdentityKind
OPERATOR = Principal.operating()


@pytest.fixture
def admin(api_url, database, cheap_hashes):
    identities.create(database, OPERATOR, ADMIN, "root", KEY)
    with AlchemiscaleAdminClient(api_url, "root", KEY, max_retries=0) as client:
        yield client


@pytest.fixture
def status_of(connect):
    """The status of a login."""

    def tried(identifier, key, path="/token"):
        return connect().post(path, data={"username": identifier, "password": key}).status_code

    return tried


def refusal(call, *arguments, **named):
    with pytest.raises(AlchemiscaleClientError) as caught:
        call(*arguments, **named)
    return caught.value.status_code, caught.value.code, caught.value.field


def test_an_identity_from_its_beginning_to_its_end(admin, status_of):
    ends = datetime(2100, 1, 1, tzinfo=UTC)
    key = admin.create_identity(
        "alice",
        scopes=["test_org-*-*", SCOPE],
        permission="read",
        email="alice@example.org",
        full_name="Alice Smith",
        expires_at=ends,
    )
    assert len(key) > 40
    assert status_of("alice", key) == 200
    alice = admin.get_identity("alice")
    assert (alice.kind, alice.email, alice.full_name) == (USER, "alice@example.org", "Alice Smith")
    assert (alice.disabled, alice.expires_at) == (False, ends)
    assert alice.grants == (Grant(Scope("test_org"), Permission.read), Grant(SCOPE, Permission.read))
    assert alice.created_at.tzinfo is not None
    assert [item.identifier for item in admin.list_identities("user")] == ["alice"]
    assert {(item.kind, item.identifier) for item in admin.list_identities()} == {(USER, "alice"), (ADMIN, "root")}
    admin.disable_identity("alice")
    assert admin.get_identity("alice").disabled
    assert status_of("alice", key) == 401
    admin.enable_identity("alice")
    assert status_of("alice", key) == 200
    admin.remove_identity("alice")
    assert status_of("alice", key) == 401
    assert refusal(admin.get_identity, "alice") == (400, "not_found", "identifier")


def test_keys_are_told_by_name_and_never_shown(admin, status_of, database):
    first = admin.create_identity("alice", scopes=[SCOPE])
    ends = datetime(2100, 1, 1, tzinfo=UTC)
    second = admin.add_key("alice", "laptop", expires_at=ends)
    assert [(key.name, key.expires_at) for key in admin.list_keys("alice")] == [("laptop", ends), ("first", None)]
    assert [status_of("alice", key) for key in (first, second)] == [200, 200]
    assert refusal(admin.add_key, "alice", "laptop") == (409, "conflict", "name")
    assert refusal(admin.add_key, "alice", "third") == (409, "conflict", "name")
    admin.revoke_key("alice", "first")
    assert [status_of("alice", key) for key in (first, second)] == [401, 200]
    assert refusal(admin.revoke_key, "alice", "first") == (400, "not_found", "name")
    with database.transaction() as connection:
        connection.execute(text("update identity_key set expires_at = now() where name = 'laptop'"))
    # an expired key leaves room for another
    admin.add_key("alice", "third", key="a key of my own")
    admin.add_key("alice", "fourth")
    assert {key.name for key in admin.list_keys("alice")} == {"third", "fourth"}
    assert status_of("alice", "a key of my own") == 200


def test_permissions(admin):
    admin.create_identity("alice", scopes=[SCOPE])
    admin.grant("alice", ["test_org-*-*", Scope("other_org")], "domain")
    admin.grant("alice", SCOPE, Permission.read)
    assert admin.list_grants("alice") == [
        Grant(Scope("other_org"), Permission.domain),
        Grant(Scope("test_org"), Permission.domain),
        Grant(SCOPE, Permission.read),
    ]
    admin.revoke("alice", ["test_org-*-*", "never_had-*-*"])
    assert [grant.scope for grant in admin.list_grants("alice")] == [Scope("other_org"), SCOPE]
    admin.create_identity("cluster", "compute", ["*-*-*"])
    assert admin.list_grants("cluster", "compute") == [Grant(Scope(), Permission.write)]
    assert refusal(admin.grant, "nobody", SCOPE) == (400, "not_found", "identifier")


def test_what_is_wrong_is_said_and_changes_nothing(admin, count_rows):
    admin.create_identity("alice", scopes=[SCOPE])
    before = count_rows()
    assert refusal(admin.create_identity, "alice", scopes=[SCOPE]) == (409, "conflict", "identifier")
    assert refusal(admin.create_identity, "a b") == (400, "invalid_input", "identifier")
    assert refusal(admin.create_identity, "bob", key="short") == (400, "invalid_input", "key")
    assert refusal(admin.create_identity, "bob", key="not printable\n") == (400, "invalid_input", "key")
    assert refusal(admin.create_identity, "bob", email="a\nb") == (400, "invalid_input", "email")
    assert refusal(admin.create_identity, "bob", "admin", [SCOPE]) == (400, "invalid_input", "grants")
    naive = datetime(2100, 1, 1)  # noqa: DTZ001  that is the mistake
    assert refusal(admin.create_identity, "bob", expires_at=naive) == (400, "invalid_input", "expires_at")
    far = datetime(9999, 12, 31, tzinfo=UTC)
    assert refusal(admin.create_identity, "bob", expires_at=far) == (400, "invalid_input", "expires_at")
    assert refusal(admin.add_key, "alice", "a b") == (400, "invalid_input", "name")
    assert refusal(admin.get_audit, limit=0) == (400, "invalid_input", "limit")
    assert refusal(admin.get_audit, since=naive) == (400, "invalid_input", "since")
    assert refusal(admin.get_compute_metrics, hours=-1) == (400, "invalid_input", "hours")
    assert refusal(admin.remove_identity, "no\0body") == (400, "not_found", "identifier")
    for call in (
        lambda: admin.create_identity("bob", kind="robot"),
        lambda: admin.grant("alice", SCOPE, "everything"),
        lambda: admin.grant("alice", "no scope"),
    ):
        with pytest.raises(InvalidInput):
            call()
    assert count_rows() == before


def test_who_an_identity_is_and_when_it_ends_is_changed(admin, status_of, database, count_rows):
    key = admin.create_identity("alice", scopes=[SCOPE], email="old@example.org", full_name="A. Lice")
    end = datetime(2100, 1, 1, tzinfo=UTC)
    admin.set_identity("alice", email="alice@example.org", expires_at=end)
    found = admin.get_identity("alice")
    assert (found.email, found.full_name, found.expires_at) == ("alice@example.org", "A. Lice", end)
    admin.set_identity("alice", full_name=None, expires_at=None)
    found = admin.get_identity("alice")
    assert (found.email, found.full_name, found.expires_at) == ("alice@example.org", None, None)
    admin.set_identity("alice", expires_at=datetime.now(UTC) - timedelta(seconds=1))
    assert logins_refused(database, "alice", key)
    newest, *_ = admin.get_audit()
    assert (newest.action, newest.target, set(newest.details)) == ("identity.set", "user/alice", {"expires_at"})

    rows, before = count_rows(), admin.get_identity("alice")
    assert refusal(admin.set_identity, "alice") == (400, "invalid_input", "values")
    assert refusal(admin.set_identity, "alice", email="x" * 5000) == (400, "invalid_input", "email")
    assert refusal(admin.set_identity, "nobody", email="a@b.org") == (400, "not_found", "identifier")
    # its own end only another one sets
    assert refusal(admin.set_identity, "root", "admin", expires_at=end) == (403, "permission_denied", "identifier")
    assert (count_rows(), admin.get_identity("alice")) == (rows, before)


def logins_refused(database, identifier, key) -> bool:
    try:
        logins.authenticate(database, IdentityKind.user, identifier, key)
    except logins.NotAuthenticated:
        return True
    return False


def test_an_administrator_does_not_lock_out_the_last_one_itself(admin, count_rows):
    before = count_rows()
    for call in (admin.disable_identity, admin.remove_identity):
        assert refusal(call, "root", "admin") == (403, "permission_denied", "identifier")
    assert count_rows() == before
    key = admin.create_identity("second", "admin")
    with AlchemiscaleAdminClient(admin.api_url, "second", key, max_retries=0) as second:
        second.disable_identity("root", "admin")
        assert second.get_identity("root", "admin").disabled


def test_a_disabled_administrator_changes_nothing_though_its_token_still_counts(admin, database, count_rows):
    admin.list_identities()
    identities.set_disabled(database, OPERATOR, ADMIN, "root", True)
    before = count_rows()
    # the server asks the database for the tokens in some seconds; changes look at once
    assert admin.list_identities()
    assert refusal(admin.create_identity, "mine", "admin")[:2] == (401, "not_authenticated")
    assert count_rows() == before


def test_only_administrators_get_in_and_they_get_nowhere_else(admin, log_in, connect):
    routes = ["/admin/identities", "/admin/identities/user/alice", "/admin/audit", "/admin/metrics"]
    for kind in (USER, COMPUTE):
        client = log_in("someone", [Grant(Scope(), Permission.domain)], kind)
        for path in routes:
            refused(client.get(path), 401, "not_authenticated")
        body = {"kind": "admin", "identifier": "mine", "key": KEY}
        refused(client.post("/admin/identities", json=body), 401, "not_authenticated")
        refused(client.delete("/admin/identities/admin/root"), 401, "not_authenticated")
    root = log_in("root", [], ADMIN)
    assert root.get("/admin/identities").status_code == 200
    for path in ("/info", "/networks", "/identities/root/scopes", f"/scopes/{SCOPE}/grants"):
        refused(root.get(path), 401, "not_authenticated")
    refused(root.post(f"/compute/tasks/Task-none-{SCOPE}/attempts/1/begin"), 401, "not_authenticated")
    assert connect().get("/admin/identities").status_code == 401


def test_the_same_key_does_not_open_another_kind_of_door(admin, status_of):
    admin.create_identity("alice", scopes=[SCOPE], key="alice's own key")
    assert [status_of("alice", "alice's own key", path) for path in ("/token", "/compute/token", "/admin/token")] == [
        200,
        401,
        401,
    ]
    assert [status_of("root", KEY, path) for path in ("/token", "/compute/token", "/admin/token")] == [401, 401, 200]


def test_who_did_what_is_written_down(admin, database, cheap_hashes):
    began = datetime.now(UTC) - timedelta(minutes=1)
    admin.create_identity("alice", scopes=[SCOPE], expires_at=datetime(2100, 1, 1, tzinfo=UTC))
    secret = admin.add_key("alice", "laptop")
    admin.grant("alice", SCOPE, "read")
    admin.revoke("alice", [SCOPE, Scope("never_had")])
    admin.revoke_key("alice", "laptop")
    admin.disable_identity("alice")
    admin.remove_identity("alice")
    entries = admin.get_audit("root", began)
    assert [(entry.action, entry.scope) for entry in reversed(entries)] == [
        ("identity.create", None),
        ("identity.key.add", None),
        ("identity.grant", str(SCOPE)),
        ("identity.revoke", str(SCOPE)),
        ("identity.key.revoke", None),
        ("identity.disable", None),
        ("identity.remove", None),
    ]
    assert {(entry.kind, entry.identifier, entry.target) for entry in entries} == {("admin", "root", "user/alice")}
    assert entries[-3].details == {"before": "write", "permission": "read"}
    assert secret not in repr(entries)
    first = admin.get_audit()[-1]
    assert (first.kind, first.identifier, first.action, first.target) == (
        "operator",
        "operator",
        "identity.create",
        "admin/root",
    )
    assert [entry.id for entry in admin.get_audit(limit=2)] == [entry.id for entry in entries[:2]]
    assert admin.get_audit(since=datetime.now(UTC) + timedelta(hours=1)) == []
    assert admin.get_audit("no\0body") == []


def test_a_change_that_fails_leaves_no_entry(admin, database):
    for call in (lambda: admin.create_identity("root", "admin"), lambda: admin.disable_identity("nobody")):
        with pytest.raises(AlchemiscaleClientError):
            call()
    assert [entry.action for entry in admin.get_audit()] == ["identity.create"]


def test_what_computes(admin, submit, make_tasks, force, database):
    submit()
    with database.transaction() as connection:
        edge = connection.execute(text("select key from gufe_object where qualname = 'Transformation' limit 1"))
        tasks = make_tasks(edge.scalar_one(), 5)
    force(tasks[0], "running", "running")
    force(tasks[1], "waiting", "dispatched")
    force(tasks[2], "complete", "complete")
    force(tasks[3], "waiting", "lost")
    force(tasks[4], "complete", "complete")
    with database.transaction() as connection:
        # what a copied Task brings along was computed by another
        copied = "update task set copied_from_id = (select id from task where key = :original) where key = :copy"
        connection.execute(text(copied), {"original": tasks[2].gufe_key, "copy": tasks[4].gufe_key})
        connection.execute(text("update attempt set ended_at = now() - interval '2 hours' where state = 'lost'"))
        connection.execute(text("update attempt set ended_at = now() where state = 'complete'"))
        connection.execute(text("update attempt set host = 'node7', started_at = now() where state = 'running'"))
    metrics = admin.get_compute_metrics()
    assert metrics.tasks == {str(SCOPE): {"complete": 2, "running": 1, "waiting": 2}}
    assert metrics.pools == (PoolMetrics("pool", dispatched=1, running=1, ended={"complete": 1, "lost": 1}),)
    assert [(item.task, item.n, item.pool, item.host) for item in metrics.running] == [
        (str(tasks[0]), 1, "pool", "node7")
    ]
    assert admin.get_compute_metrics(hours=1.0).pools[0].ended == {"complete": 1}


def test_the_client_logs_in_again_when_its_token_is_stale(admin, server, database):
    server.app.state.stamps = Stamps(database, 0.0)
    admin.list_identities()
    identities.add_key(database, OPERATOR, ADMIN, "root", "second", "another key")
    assert admin.list_identities()


def test_a_flood_of_wrong_keys_is_slowed_for_administrators_too(admin, connect):
    answers = [connect().post("/admin/token", data={"username": "root", "password": "wrong key"}) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429]
    assert int(answers[-1].headers["Retry-After"]) >= 1


def test_the_client_finds_its_server_in_the_environment(monkeypatch):
    for name in ("ALCHEMISCALE_URL", "ALCHEMISCALE_ADMIN_ID", "ALCHEMISCALE_ADMIN_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InvalidInput, match="ALCHEMISCALE_URL"):
        AlchemiscaleAdminClient()
    monkeypatch.setenv("ALCHEMISCALE_URL", "http://localhost:1")
    with pytest.raises(InvalidInput, match="ALCHEMISCALE_ADMIN_ID"):
        AlchemiscaleAdminClient()
    monkeypatch.setenv("ALCHEMISCALE_ADMIN_ID", "root")
    monkeypatch.setenv("ALCHEMISCALE_ADMIN_KEY", "a secret key")
    with AlchemiscaleAdminClient() as client:
        assert (repr(client), client.identifier) == ("AlchemiscaleAdminClient('http://localhost:1')", "root")
        assert "a secret key" not in repr(vars(client))
    with pytest.warns(UserWarning, match="ALCHEMISCALE_ADMIN_KEY is set, but") as caught:
        AlchemiscaleAdminClient(key="another secret")
    assert "secret" not in str(caught[0].message)
    assert caught[0].filename == __file__


def test_a_body_with_the_wrong_shape_is_refused(log_in):
    root = log_in("root", [], ADMIN)
    answers: list[httpx.Response] = [
        root.post("/admin/identities", json={"kind": "robot", "identifier": "a", "key": KEY}),
        root.post("/admin/identities", json={"kind": "user"}),
        root.post("/admin/identities/user/a/keys", json=[]),
        root.post("/admin/identities/user/a/grants", json=[{"scope": "x"}]),
        root.get("/admin/identities/robot/a"),
        root.get("/admin/identities", params={"kind": "robot"}),
        root.get("/admin/audit", params={"since": "yesterday"}),
    ]
    assert {answer.status_code for answer in answers} == {422}
    refused(root.get("/admin/audit", params={"before": 2**70}), 400, "invalid_input", "before")
    assert root.get("/admin/metrics", params={"hours": "nan"}).status_code == 400
