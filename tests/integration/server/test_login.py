"""Logging in, tokens, and what an identity is: real Argon2, real JWTs."""

from datetime import UTC, datetime, timedelta

import jwt
import pytest
import structlog

from alchemiscale_prefect.api.app import create_app
from alchemiscale_prefect.domain.access import IdentityKind, Principal
from alchemiscale_prefect.domain.errors import Conflict, InvalidInput, NotAuthenticated, NotFound
from alchemiscale_prefect.domain.identities import MAXIMUM_KEYS
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.services import api_keys, grants, identities, logins
from alchemiscale_prefect.settings import ApiSettings
from tests.api_server import KEY, SCOPE, SECRET, refused

USER, COMPUTE = IdentityKind.user, IdentityKind.compute
OPERATOR = Principal.operating()


@pytest.fixture
def known(database, cheap_hashes):
    identities.create(database, OPERATOR, USER, "someone", KEY, [SCOPE, Scope("test_org")])


@pytest.fixture
def log_in_as(connect):
    def tried(identifier="someone", key=KEY, path="/token"):
        return connect().post(path, data={"username": identifier, "password": key})

    return tried


def as_bearer(connect, token):
    return connect(Authorization=f"Bearer {token}")


def test_a_login_gives_a_token_that_opens_every_door_of_ones_own(known, log_in_as, connect):
    answer = log_in_as()
    assert answer.status_code == 200
    body = answer.json()
    assert body["token_type"] == "bearer"
    client = as_bearer(connect, body["access_token"])
    assert client.get("/info").json() == {"message": "nothing yet"}
    assert client.get("/identities/someone/scopes").json() == ["test_org-*-*", str(SCOPE)]
    claims = jwt.decode(body["access_token"], SECRET, ["HS256"], audience="user")
    assert (claims["sub"], claims["grants"]) == ("someone", {"test_org-*-*": "write", str(SCOPE): "write"})
    assert claims["exp"] - claims["iat"] == 1800


def test_ping_needs_no_token(connect):
    assert connect().get("/ping").json() == {"api": "AlchemiscaleAPI"}


@pytest.mark.parametrize(
    ("identifier", "key"),
    [("someone", "wrong key"), ("nobody", KEY), ("", KEY), ("someone", ""), ("some\0one", KEY), ("someone", KEY * 200)],
)
def test_a_wrong_login_says_the_same_whatever_is_wrong(known, log_in_as, identifier, key):
    answer = log_in_as(identifier, key)
    assert refused(answer, 401, "not_authenticated") == "Incorrect identity or key"
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_refusal_costs_as_many_verifications_whatever_is_wrong(known, database, monkeypatch):
    identities.create(database, OPERATOR, USER, "barred", KEY)
    identities.set_disabled(database, OPERATOR, USER, "barred", True)
    identities.create(database, OPERATOR, USER, "busy", KEY)
    identities.add_key(database, OPERATOR, USER, "busy", "second", KEY + "2")
    costs = []
    verify = api_keys._verify
    monkeypatch.setattr(api_keys, "_verify", lambda *arguments: costs.append(1) or verify(*arguments))
    for identifier, key in (
        ("nobody", KEY),
        ("no name at all", KEY),
        ("someone", "wrong key"),
        ("busy", "wrong key"),
        ("barred", KEY),
        ("barred", "wrong key"),
    ):
        costs.clear()
        with pytest.raises(NotAuthenticated):
            logins.authenticate(database, USER, identifier, key)
        assert len(costs) == MAXIMUM_KEYS, identifier


def test_a_refused_login_is_logged_without_what_may_be_a_key(known, log_in_as):
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs:
        log_in_as("someone", "wrong key")
        # both fields mixed up
        log_in_as(KEY.replace(" ", "-"), "someone")
        log_in_as()
    assert [(entry["event"], entry["kind"], entry["identifier"], entry["address"]) for entry in logs] == [
        ("login_refused", "user", "someone", "127.0.0.1"),
        ("login_refused", "user", None, "127.0.0.1"),
    ]
    assert "key" not in repr(logs)


def test_disabled_and_expired_identities_cannot_log_in(known, database, log_in_as):
    identities.set_disabled(database, OPERATOR, USER, "someone", True)
    refused(log_in_as(), 401, "not_authenticated")
    identities.set_disabled(database, OPERATOR, USER, "someone", False)
    assert log_in_as().status_code == 200
    now = datetime.now(UTC)
    identities.create(database, OPERATOR, USER, "old", KEY, expires_at=now - timedelta(seconds=1))
    identities.create(database, OPERATOR, USER, "young", KEY, expires_at=now + timedelta(hours=1))
    assert [log_in_as(name).status_code for name in ("old", "young")] == [401, 200]


def test_users_and_compute_identities_are_apart(known, database, log_in_as, connect):
    identities.create(database, OPERATOR, COMPUTE, "worker", KEY, [SCOPE])
    refused(log_in_as("worker"), 401, "not_authenticated")
    refused(log_in_as("someone", path="/compute/token"), 401, "not_authenticated")
    user, worker = log_in_as().json()["access_token"], log_in_as("worker", path="/compute/token").json()["access_token"]
    begin = f"/compute/tasks/Task-none-{SCOPE}/attempts/1/begin"
    for path, method, right, wrong in (("/info", "GET", user, worker), (begin, "POST", worker, user)):
        answer = as_bearer(connect, wrong).request(method, path)
        assert refused(answer, 401, "not_authenticated") == "Could not validate credentials"
        assert as_bearer(connect, right).request(method, path).status_code != 401
    # the same name may stand for one of each
    identities.create(database, OPERATOR, COMPUTE, "someone", "another key", [SCOPE])
    assert log_in_as("someone", "another key", "/compute/token").status_code == 200


def test_too_many_refusals_are_stopped_for_that_identity_only(known, database, log_in_as):
    identities.create(database, OPERATOR, USER, "other", KEY)
    for _ in range(5):
        assert log_in_as(key="wrong key").status_code == 401
    answer = log_in_as()
    assert "try again in" in refused(answer, 429, "too_many_requests")
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert log_in_as("other").status_code == 200


def test_logins_that_succeed_are_not_counted(known, log_in_as):
    # the released alchemiscale client logs in once per Transformation when it fetches results
    assert {log_in_as().status_code for _ in range(8)} == {200}


@pytest.mark.parametrize(
    ("content", "field"),
    [(b"", "username"), (b"username=a", "password"), (b"password=a", "username"), (b"{}", "username")],
)
def test_a_form_that_lacks_a_field(connect, content, field):
    refused(connect().post("/token", content=content), 422, "invalid_body", field)


def test_a_form_that_is_too_large_or_has_too_much_in_it(connect):
    refused(connect().post("/token", content=b"username=" + b"a" * 70_000), 413, "body_too_large")
    refused(connect().post("/token", content=b"a=1&" * 100), 422, "invalid_body")


def test_bytes_that_are_no_text_in_a_form(connect, known):
    answer = connect().post("/token", content=b"username=some%ffone&password=%00%fe")
    refused(answer, 401, "not_authenticated")


def test_the_scopes_of_others_are_their_own_affair(client, database):
    identities.create(database, OPERATOR, USER, "other", KEY, [SCOPE])
    refused(client.get("/identities/other/scopes"), 401, "not_authorized", "identity")
    refused(client.get("/identities/nobody/scopes"), 401, "not_authorized", "identity")


def test_changed_scopes_show_at_once_and_count_from_the_next_login(known, database, log_in_as, connect):
    client = as_bearer(connect, log_in_as().json()["access_token"])
    grants.revoke(database, OPERATOR, USER, "someone", [Scope("test_org"), Scope("never_had")])
    grants.grant(database, OPERATOR, USER, "someone", [Scope("new_org"), SCOPE])
    assert client.get("/identities/someone/scopes").json() == ["new_org-*-*", str(SCOPE)]
    exists = f"/exists/Task-none-{Scope('new_org', 'a', 'b')}"
    assert client.get(exists).status_code == 401
    assert as_bearer(connect, log_in_as().json()["access_token"]).get(exists).json() is False


def test_a_new_key_replaces_the_old_one(known, database, log_in_as):
    identities.set_key(database, OPERATOR, USER, "someone", "a new key")
    assert [log_in_as(key=key).status_code for key in (KEY, "a new key")] == [401, 200]


def test_what_operators_may_not_do(known, database, count_rows):
    before = count_rows()
    with pytest.raises(Conflict, match="already"):
        identities.create(database, OPERATOR, USER, "someone", KEY)
    for identifier in ("", "a b", "a/b", "a\0", "é\ud800", "a" * 256):
        with pytest.raises(InvalidInput) as caught:
            identities.create(database, OPERATOR, USER, identifier, KEY)
        assert caught.value.field == "identifier"
    for key in ("short", "k" * 4097):
        with pytest.raises(InvalidInput) as caught:
            identities.create(database, OPERATOR, USER, "new", key)
        assert caught.value.field == "key"
    with pytest.raises(InvalidInput, match="time zone"):
        identities.create(database, OPERATOR, USER, "new", KEY, expires_at=datetime.now())  # noqa: DTZ005  that is the mistake
    for change in (grants.grant, grants.revoke):
        with pytest.raises(NotFound):
            change(database, OPERATOR, USER, "nobody", [SCOPE])
    with pytest.raises(NotFound):
        identities.set_key(database, OPERATOR, USER, "nobody", KEY)
    assert count_rows() == before


def test_operators_see_every_identity(known, database):
    identities.create(database, OPERATOR, USER, "another", KEY)
    identities.create(database, OPERATOR, COMPUTE, "worker", KEY)
    found = identities.every(database, OPERATOR, USER)
    assert [(item.identifier, item.scopes, item.disabled) for item in found] == [
        ("another", (), False),
        ("someone", (Scope("test_org"), SCOPE), False),
    ]


def test_keys_are_kept_as_argon2id_hashes_only(database, log_in_as):
    # the only test here that waits for what such a hash costs
    identities.create(database, OPERATOR, USER, "someone", KEY)
    assert [log_in_as(key=key).status_code for key in (KEY, "wrong key")] == [200, 401]
    with database.transaction() as connection:
        key_hash = connection.exec_driver_sql("select hash from identity_key").scalar_one()
    assert key_hash.startswith("$argon2id$v=19$m=65536,")
    assert KEY not in key_hash


def test_a_secret_that_could_be_guessed_does_not_serve(system):
    for secret in ("", "short", "x" * 31):
        with pytest.raises(InvalidInput, match="32 characters") as caught:
            create_app(type(system)(system.database, system.objects, ApiSettings(jwt_secret=secret)))
        assert caught.value.field == "jwt_secret"
