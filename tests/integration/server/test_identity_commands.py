"""``alchemiscale-prefect identity``, over HTTP and on the database: the same commands, the same answers."""

import json

import pytest
from typer.testing import CliRunner

from alchemiscale_prefect import cli
from alchemiscale_prefect.domain.access import IdentityKind, Principal
from alchemiscale_prefect.services import identities, logins
from tests.api_server import KEY, SCOPE

OPERATOR = Principal.operating()


@pytest.fixture(params=["over HTTP", "on the database"])
def run(request, api_url, database, database_url, cheap_hashes, monkeypatch):
    """Runs a command; gives what it printed, and as JSON if it was asked to."""
    for name in ("ALCHEMISCALE_URL", "ALCHEMISCALE_ADMIN_ID", "ALCHEMISCALE_ADMIN_KEY", "ALCHEMISCALE_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    if request.param == "over HTTP":
        identities.create(database, OPERATOR, IdentityKind.admin, "root", KEY)
        monkeypatch.setenv("ALCHEMISCALE_URL", api_url)
        monkeypatch.setenv("ALCHEMISCALE_ADMIN_ID", "root")
        monkeypatch.setenv("ALCHEMISCALE_ADMIN_KEY", KEY)
    else:
        monkeypatch.setenv("ALCHEMISCALE_DATABASE_URL", database_url)

    def command(*words, exit_code=0, stdin=None):
        done = CliRunner().invoke(cli.build(), ["identity", *words], input=stdin)
        assert done.exit_code == exit_code, (done.output, done.exception)
        return json.loads(done.stdout) if "--json" in words and not exit_code else done.output

    return command


@pytest.fixture
def logs_in(database):
    def tried(identifier, key, kind=IdentityKind.user):
        try:
            return logins.authenticate(database, kind, identifier, key).principal
        except logins.NotAuthenticated:
            return None

    return tried


def test_an_identity_by_commands(run, logs_in):
    printed = run("add", "--identifier", "alice", "-s", str(SCOPE), "-s", "my_org-test-*", "-p", "read")
    assert f"my_org-test-* (read), {SCOPE} (read)" in printed
    key = printed.split("key: ")[1].strip()
    assert logs_in("alice", key)
    run("add-scope", "-i", "alice", "-s", str(SCOPE))
    run("remove-scope", "-i", "alice", "-s", "my_org-test-*")
    shown = run("show", "-i", "alice", "--json")["identity"]
    assert shown["grants"] == [{"scope": str(SCOPE), "permission": "write"}]
    assert [held["name"] for held in shown["keys"]] == ["first"]
    assert "first" in run("show", "-i", "alice")
    run("set", "-i", "alice", "--email", "a@b.org", "--expires", "2100-01-31")
    run("set", "-i", "alice", "--email", "", "--full-name", "A. Lice")
    shown = run("show", "-i", "alice", "--json")["identity"]
    assert (shown["email"], shown["full_name"], shown["expires_at"][:10]) == (None, "A. Lice", "2100-01-31")
    run("set", "-i", "alice", "--expires", "never")
    assert run("show", "-i", "alice", "--json")["identity"]["expires_at"] is None
    assert "nothing to change" in run("set", "-i", "alice", exit_code=1)
    assert logs_in("alice", key)
    run("disable", "-i", "alice")
    assert logs_in("alice", key) is None
    assert "disabled" in run("list", "--type", "user")
    run("disable", "-i", "alice", "--undo")
    assert logs_in("alice", key)
    run("remove", "-i", "alice")
    assert run("list", "--type", "user", "--json") == {"identities": []}
    assert "there is no user identity 'alice'" in run("show", "-i", "alice", exit_code=1)


def test_keys_by_commands(run, logs_in):
    first = run("add", "-i", "cluster", "-t", "compute", "-s", "*-*-*", "--json")["identity"]["key"]
    of = ("-i", "cluster", "-t", "compute")
    second = run("key", "add", *of, "--name", "next", "--expires", "2100-01-31", "--json")
    assert second["expires_at"] == "2100-01-31T00:00:00+00:00"
    assert "2100-01-31 00:00:00+00:00" in run("key", "list", *of)
    run("key", "revoke", *of, "-n", "first")
    assert [key["name"] for key in run("key", "list", *of, "--json")["keys"]] == ["next"]
    kind = IdentityKind.compute
    assert [bool(logs_in("cluster", key, kind)) for key in (first, second["key"])] == [False, True]


def test_a_key_from_outside_is_not_printed(run, logs_in):
    printed = run("add", "-i", "alice", "-s", str(SCOPE), "--key-stdin", stdin="a key from a vault\n")
    assert "a key from a vault" not in printed
    printed = run("key", "add", "-i", "alice", "-n", "more", "--key-stdin", stdin="another key from a vault\n")
    assert "another key" not in printed
    assert logs_in("alice", "a key from a vault")
    assert logs_in("alice", "another key from a vault")


def test_an_administrator_by_commands(run, logs_in):
    key = run("add", "-i", "second", "-t", "admin", "--full-name", "Ada Min", "--json")["identity"]["key"]
    assert logs_in("second", key, IdentityKind.admin)
    assert "Ada Min" in run("list")
    newest = run("audit", "--limit", "1", "--json")["audit"][0]
    assert (newest["action"], newest["target"]) == ("identity.create", "admin/second")
    assert newest["kind"] in ("admin", "operator")
    assert "identity.create" in run("audit", "--since", "2020-01-01")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("add", "-i", "alice"), "give it one with --scope"),
        (("add", "-i", "alice", "-s", "nonsense"), "is not a Scope"),
        (("add", "-i", "a b", "-s", "a-b-c"), "cannot name an identity"),
        (("add", "-i", "alice", "-s", "a-b-c", "--expires", "tomorrow"), "write it as"),
        (("remove", "-i", "nobody"), "there is no user identity 'nobody'"),
        (("key", "revoke", "-i", "nobody", "-n", "first"), "error: there is no user identity 'nobody'"),
        (("add", "-i", "alice", "-s", "my_org"), "error: 'my_org' is not a Scope; expected 'org-campaign-project'"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(run, words, said):
    printed = run(*words, exit_code=1)
    assert said in printed
    assert "Traceback" not in printed


def test_a_scope_that_was_not_given_is_not_taken_in_silence(run):
    run("add", "-i", "alice", "-s", "org-*-*", "-s", "other-a-b")
    said = run("remove-scope", "-i", "alice", "-s", "other-a-b", "-s", "org-campaign-*", exit_code=1)
    assert "user identity 'alice' was not given org-campaign-*; its scopes: org-*-*, other-a-b" in said
    run("remove-scope", "-i", "alice", "-s", "other-a-b")
    (grant,) = run("show", "-i", "alice", "--json")["identity"]["grants"]
    assert grant["scope"] == "org-*-*"


def test_without_credentials_it_says_which(run, monkeypatch):
    for name in ("ALCHEMISCALE_ADMIN_ID", "ALCHEMISCALE_ADMIN_KEY", "ALCHEMISCALE_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    assert "ALCHEMISCALE_ADMIN_ID and ALCHEMISCALE_ADMIN_KEY" in run("list", exit_code=1)
