"""The local profile, and where a client finds its API and identity."""

import json
import stat
import warnings
from pathlib import Path

import pytest

from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.sdk.credentials import find_credentials
from alchemiscale_prefect.sdk.profile import Profile, profile_path, read_profile, remove_profile, write_profile

LOCAL = Profile("http://127.0.0.1:8123", "local", "local-key")


@pytest.fixture(autouse=True)
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "configuration" / "profile.json"
    monkeypatch.setenv("ALCHEMISCALE_PROFILE", str(path))
    for variable in ("ALCHEMISCALE_URL", "ALCHEMISCALE_ID", "ALCHEMISCALE_KEY"):
        monkeypatch.delenv(variable, raising=False)
    return path


def test_a_profile_is_for_this_user_alone_and_comes_back(path: Path) -> None:
    assert read_profile() is None
    assert write_profile(LOCAL) == path
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text()) == {
        "api_url": "http://127.0.0.1:8123",
        "identifier": "local",
        "key": "local-key",
    }
    assert read_profile() == LOCAL
    assert list(path.parent.iterdir()) == [path]
    assert "local-key" not in repr(LOCAL)


def test_a_profile_is_replaced_whole(path: Path) -> None:
    write_profile(LOCAL)
    path.chmod(0o644)
    write_profile(Profile("http://127.0.0.1:9", "other", "other-key"))
    assert read_profile() == Profile("http://127.0.0.1:9", "other", "other-key")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_removing_a_profile(path: Path) -> None:
    assert not remove_profile()
    write_profile(LOCAL)
    assert not remove_profile(only=Profile("http://127.0.0.1:9", "another stack", "key"))
    assert path.exists()
    assert remove_profile(only=LOCAL)
    assert not path.exists()


def test_without_the_variable_the_profile_lies_in_the_configuration_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ALCHEMISCALE_PROFILE")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert profile_path().name == "profile.json"
    assert profile_path().parent.name == "alchemiscale-prefect"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '"x"', '{"api_url": "http://x", "identifier": "", "key": "k"}', '{"api_url": 1}']
)
def test_a_file_that_is_no_profile_is_told(path: Path, text: str) -> None:
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(InvalidInput, match="is not a profile"):
        read_profile()


def test_arguments_then_environment_then_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    write_profile(LOCAL)
    assert find_credentials(None, None, None) == LOCAL
    monkeypatch.setenv("ALCHEMISCALE_URL", "http://env.example.com")
    monkeypatch.setenv("ALCHEMISCALE_ID", "env_id")
    monkeypatch.setenv("ALCHEMISCALE_KEY", "env_key")
    assert find_credentials(None, None, None) == Profile("http://env.example.com", "env_id", "env_key")
    with pytest.warns(UserWarning, match="an explicit"):
        found = find_credentials("http://arg.example.com", "arg_id", "arg_key")
    assert found == Profile("http://arg.example.com", "arg_id", "arg_key")


def test_the_profile_fills_in_what_belongs_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    write_profile(LOCAL)
    assert find_credentials(LOCAL.api_url, None, None) == LOCAL
    monkeypatch.setenv("ALCHEMISCALE_ID", LOCAL.identifier)
    assert find_credentials(None, None, None) == LOCAL


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        (("http://elsewhere.example.com", None, None), "No identifier provided"),
        (("http://elsewhere.example.com", LOCAL.identifier, None), "No API key provided"),
        ((None, "somebody else", None), "No API URL provided"),
        ((None, None, "another key"), "No API URL provided"),
    ],
)
def test_a_profile_s_key_goes_nowhere_else(given: tuple[str | None, str | None, str | None], missing: str) -> None:
    write_profile(LOCAL)
    with pytest.raises(ValueError, match=missing):
        find_credentials(*given)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((None, "id", "key"), "No API URL provided and ALCHEMISCALE_URL environment variable not set"),
        (("http://x", None, "key"), "No identifier provided and ALCHEMISCALE_ID environment variable not set"),
        (("http://x", "id", None), "No API key provided and ALCHEMISCALE_KEY environment variable not set"),
    ],
)
def test_what_is_found_nowhere_is_named(values: tuple[str | None, str | None, str | None], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}; .*`alchemiscale-prefect up`"):
        find_credentials(*values)


def test_an_argument_that_overrides_the_environment_warns_and_never_shows_the_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for variable, value in [("URL", "http://env.example.com"), ("ID", "env_id"), ("KEY", "env_key")]:
        monkeypatch.setenv(f"ALCHEMISCALE_{variable}", value)
    with pytest.warns(UserWarning, match="Environment variable") as record:
        find_credentials("http://explicit.example.com", "explicit_id", "explicit_key")
    assert [str(warning.message) for warning in record] == [
        "Environment variable ALCHEMISCALE_URL is set to 'http://env.example.com', but an explicit API URL "
        "'http://explicit.example.com' is provided. Using the explicit API URL.",
        "Environment variable ALCHEMISCALE_ID is set to 'env_id', but an explicit identifier 'explicit_id' "
        "is provided. Using the explicit identifier.",
        "Environment variable ALCHEMISCALE_KEY is set, but an explicit API key is provided. "
        "Using the explicit API key.",
    ]


def test_an_argument_equal_to_the_environment_does_not_warn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALCHEMISCALE_URL", "http://x")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        find_credentials("http://x", "id", "key")
