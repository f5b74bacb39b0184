"""Tokens: what makes one good, what makes one stale, and how the secret that signs them is changed."""

import json
from datetime import UTC, datetime, timedelta

import jwt
import pytest

from alchemiscale_prefect import settings as environment
from alchemiscale_prefect.api import auth
from alchemiscale_prefect.api.app import create_app
from alchemiscale_prefect.bootstrap import System
from alchemiscale_prefect.domain.access import IdentityKind, Permission, Principal
from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.services import grants, identities
from alchemiscale_prefect.services.logins import Login, Stamps
from alchemiscale_prefect.settings import ApiSettings
from tests.api_server import KEY, SCOPE, SECRET, refused

USER = IdentityKind.user
OPERATOR = Principal.operating()
NEW_SECRET = "another secret that only this test server knows"
FORMER_SECRET = "a secret that this test server knew in former times"


@pytest.fixture
def log_in_as(connect):
    """Logs in with a key and gives the client."""

    def logged_in(identifier="someone", key=KEY):
        answer = connect().post("/token", data={"username": identifier, "password": key})
        return connect(Authorization=f"Bearer {answer.json()['access_token']}")

    return logged_in


@pytest.fixture
def known(database, cheap_hashes):
    identities.create(database, OPERATOR, USER, "someone", KEY, [SCOPE])


@pytest.fixture
def token(known, database):
    """Makes a token of the right shape, with changes."""
    with database.transaction() as connection:
        stamp = identities.identities.version(connection, USER, "someone")

    def made(secret=SECRET, algorithm="HS256", headers=None, **changes):
        claims = {
            "sub": "someone",
            "grants": {str(SCOPE): "write"},
            "stamp": list(stamp),
            "aud": "user",
            "exp": datetime.now(UTC) + timedelta(minutes=5),
            **changes,
        }
        kept = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(
            kept, secret, algorithm, headers={"kid": auth._secret_id(SECRET)} if headers is None else headers
        )

    return made


def as_bearer(connect, token):
    return connect(Authorization=f"Bearer {token}")


def test_a_token_of_the_right_shape_is_taken(connect, token):
    # so that the refusals below are for what they change
    assert as_bearer(connect, token()).get("/info").status_code == 200


def test_an_expired_token(connect, token):
    answer = as_bearer(connect, token(exp=datetime.now(UTC) - timedelta(seconds=1))).get("/networks")
    assert "expired" in refused(answer, 401, "not_authenticated")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "compute"},
        {"aud": "admin"},
        {"aud": None},
        {"exp": None},
        {"sub": None},
        {"sub": "nobody"},
        {"grants": None},
        {"grants": "text"},
        {"grants": {"not a scope": "write"}},
        {"grants": {str(SCOPE): "everything"}},
        {"grants": [str(SCOPE)]},
        {"stamp": None},
        {"stamp": 1},
        {"stamp": [1]},
        {"stamp": ["a", "b"]},
        {"stamp": [1, 0]},
        {"stamp": [0, 1]},
        {"stamp": [10**6, 10**6]},
        {"secret": SECRET + "!"},
        {"secret": "", "algorithm": "none"},
        {"secret": SECRET * 2, "algorithm": "HS512"},
        {"headers": {"kid": "unknown"}},
        {"headers": {}},
    ],
    ids=repr,
)
def test_a_forged_or_foreign_token(connect, token, changes):
    answer = as_bearer(connect, token(**changes)).get("/networks")
    assert refused(answer, 401, "not_authenticated").startswith("Could not validate credentials")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_what_is_no_token(connect, token):
    content, _, signature = token().rpartition(".")
    other = "B" if signature.startswith("A") else "A"
    for text in (f"{content}.{other}{signature[1:]}", "nonsense", "a.b.c"):
        refused(as_bearer(connect, text).get("/networks"), 401, "not_authenticated")


@pytest.mark.parametrize("header", [{}, {"Authorization": ""}, {"Authorization": "Basic c29tZW9uZTprZXk="}])
def test_no_token(connect, header):
    answer = connect(**header).get("/networks")
    assert "Not authenticated" in refused(answer, 401, "not_authenticated")


# --- stale tokens -----------------------------------------------------------------------------------------------------


@pytest.fixture
def at_once(server, api_url, database):
    """A server that asks for every request, as others do after a few seconds."""
    server.app.state.stamps = Stamps(database, 0.0)


CHANGES = {
    "disabled": lambda database: identities.set_disabled(database, OPERATOR, USER, "someone", True),
    "removed": lambda database: identities.remove(database, OPERATOR, USER, "someone"),
    "a key more": lambda database: identities.add_key(database, OPERATOR, USER, "someone", "more", "another key"),
    "a key less": lambda database: identities.revoke_key(database, OPERATOR, USER, "someone", "first"),
    "another key": lambda database: identities.set_key(database, OPERATOR, USER, "someone", "another key"),
    "a scope more": lambda database: grants.grant(database, OPERATOR, USER, "someone", [Scope("new_org")]),
    "a scope less": lambda database: grants.revoke(database, OPERATOR, USER, "someone", [SCOPE]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_the_identity_makes_its_tokens_stale(known, database, log_in_as, at_once, change):
    identities.create(database, OPERATOR, USER, "other", KEY, [SCOPE])
    client, other = log_in_as(), log_in_as("other")
    assert client.get("/info").status_code == 200
    CHANGES[change](database)
    assert "log in again" in refused(client.get("/info"), 401, "not_authenticated")
    assert other.get("/info").status_code == 200


def test_a_name_that_is_taken_anew_does_not_bring_old_tokens_back(known, database, log_in_as, at_once):
    client = log_in_as()
    identities.remove(database, OPERATOR, USER, "someone")
    identities.create(database, OPERATOR, USER, "someone", KEY, [SCOPE])
    refused(client.get("/info"), 401, "not_authenticated")
    assert log_in_as().get("/info").status_code == 200


def test_a_permission_that_was_lowered_counts_after_the_next_login(known, database, log_in_as, at_once):
    network = f"/networks/AlchemicalNetwork-none-{SCOPE}/weight"
    client = log_in_as()
    assert client.post(network, json=0.5).status_code == 200
    grants.grant(database, OPERATOR, USER, "someone", [identities.Grant(SCOPE, Permission.read)])
    refused(client.post(network, json=0.5), 401, "not_authenticated")
    refused(log_in_as().post(network, json=0.5), 403, "permission_denied", "scope")


def test_the_database_is_asked_once_in_a_while(database, known, monkeypatch):
    with database.transaction() as connection:
        stamp = identities.identities.version(connection, USER, "someone")
    now = [1000.0]
    monkeypatch.setattr("alchemiscale_prefect.services.logins.time.monotonic", lambda: now[0])
    stamps = Stamps(database, 5.0)
    assert stamps.remembered(USER, "someone", stamp) is None
    assert stamps.asked(USER, "someone", stamp) is True
    grants.grant(database, OPERATOR, USER, "someone", [Scope("new_org")])
    assert stamps.remembered(USER, "someone", stamp) is True
    now[0] += 5.0
    assert stamps.remembered(USER, "someone", stamp) is None
    assert stamps.asked(USER, "someone", stamp) is False
    assert stamps.remembered(USER, "someone", stamp) is False
    # a login at another replica, after a change that this one has not heard of
    newer = (stamp[0], stamp[1] + 2)
    assert stamps.remembered(USER, "someone", newer) is None
    grants.revoke(database, OPERATOR, USER, "someone", [Scope("new_org")])
    assert stamps.asked(USER, "someone", newer) is True
    assert stamps.remembered(USER, "someone", newer) is True


# --- expiry -----------------------------------------------------------------------------------------------------------


def test_a_token_does_not_outlive_the_identity_or_the_key(cheap_hashes, database, connect):
    soon, later = (datetime.now(UTC) + timedelta(seconds=seconds) for seconds in (100, 1000))

    def expiry(identifier, key):
        answer = connect().post("/token", data={"username": identifier, "password": key})
        claims = jwt.decode(answer.json()["access_token"], SECRET, ["HS256"], audience="user")
        return datetime.fromtimestamp(claims["exp"], UTC)

    identities.create(database, OPERATOR, USER, "guest", KEY, expires_at=later)
    identities.add_key(database, OPERATOR, USER, "guest", "short", "a short-lived key", expires_at=soon)
    assert expiry("guest", KEY) == later.replace(microsecond=0)
    assert expiry("guest", "a short-lived key") == soon.replace(microsecond=0)


def test_an_expired_key_does_not_log_in(known, database, connect):
    past = datetime.now(UTC) - timedelta(seconds=1)
    identities.add_key(database, OPERATOR, USER, "someone", "old", "an expired key", expires_at=past)
    for key, status in (("an expired key", 401), (KEY, 200)):
        assert connect().post("/token", data={"username": "someone", "password": key}).status_code == status


# --- the secret -------------------------------------------------------------------------------------------------------


def settings_with(secret, *accepted):
    return ApiSettings(jwt_secret=secret, jwt_accepted_secrets=",".join(accepted))


def test_the_secret_is_changed_without_logging_anybody_out(server, system, known, log_in_as, api_url):
    def serve(settings):
        auth.install(server.app, System(system.database, system.objects, settings))

    before = log_in_as()
    # replicas learn the new secret, then sign with it; the old one is taken away when its tokens have expired
    for settings in (settings_with(SECRET, NEW_SECRET), settings_with(NEW_SECRET, SECRET)):
        serve(settings)
        assert before.get("/info").status_code == 200
    after = log_in_as()
    for settings, status in (
        (settings_with(SECRET, NEW_SECRET), 200),
        (settings_with(NEW_SECRET, FORMER_SECRET), 200),
        (settings_with(FORMER_SECRET), 401),
    ):
        serve(settings)
        assert after.get("/info").status_code == status
    serve(settings_with(NEW_SECRET, FORMER_SECRET))
    refused(before.get("/info"), 401, "not_authenticated")


def test_an_accepted_secret_that_could_be_guessed_does_not_serve(system):
    with pytest.raises(InvalidInput, match="ALCHEMISCALE_JWT_ACCEPTED_SECRETS") as caught:
        create_app(System(system.database, system.objects, settings_with(SECRET, "short")))
    assert caught.value.field == "jwt_accepted_secrets"


def test_a_list_in_json_is_not_taken_for_secrets(monkeypatch):
    monkeypatch.setenv("ALCHEMISCALE_JWT_SECRET", SECRET)
    monkeypatch.setenv("ALCHEMISCALE_JWT_ACCEPTED_SECRETS", json.dumps([NEW_SECRET, FORMER_SECRET]))
    with pytest.raises(InvalidInput, match="ALCHEMISCALE_JWT_ACCEPTED_SECRETS is wrong: it must be") as caught:
        environment.read(ApiSettings)
    assert NEW_SECRET not in str(caught.value)


def test_secrets_show_in_no_text_of_the_settings(monkeypatch):
    settings = settings_with(SECRET, NEW_SECRET)
    assert settings.jwt_secrets() == (SECRET, NEW_SECRET)
    for text in (repr(settings), str(settings), settings.model_dump_json()):
        assert not {SECRET, NEW_SECRET} & {part for part in (SECRET, NEW_SECRET) if part in text}


def test_a_token_of_one_secret_says_which_but_not_what_it_is():
    login = Login(Principal("someone", USER, ()), (1, 1), None)
    kids = {jwt.get_unverified_header(auth.issue(settings_with(s), login))["kid"] for s in (SECRET, NEW_SECRET)}
    assert len(kids) == 2
    assert not any(kid in SECRET + NEW_SECRET for kid in kids)
