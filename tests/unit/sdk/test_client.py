"""How a client is made."""

import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import alchemiscale_prefect
from alchemiscale_prefect.sdk.client import AlchemiscaleClient
from alchemiscale_prefect.sdk.profile import Profile, write_profile
from tests.unit.sdk.conftest import ScriptedServer

MAX_METHODS = 15


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALCHEMISCALE_URL", "http://env.example.com")
    monkeypatch.setenv("ALCHEMISCALE_ID", "env_id")
    monkeypatch.setenv("ALCHEMISCALE_KEY", "env_key")


@pytest.fixture
def no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for variable in ("ALCHEMISCALE_URL", "ALCHEMISCALE_ID", "ALCHEMISCALE_KEY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("ALCHEMISCALE_PROFILE", str(tmp_path / "profile.json"))
    return tmp_path / "profile.json"


@pytest.mark.usefixtures("environment")
def test_client_params_from_env() -> None:
    client = AlchemiscaleClient()
    assert (client.api_url, client.identifier, client.key) == ("http://env.example.com", "env_id", "env_key")
    assert repr(client) == "AlchemiscaleClient('http://env.example.com')"


@pytest.mark.usefixtures("environment")
def test_client_params_precedence() -> None:
    with pytest.warns(UserWarning, match="Environment variable ALCHEMISCALE_"):
        client = AlchemiscaleClient("http://explicit.example.com", "explicit_id", "explicit_key")
    given = ("http://explicit.example.com", "explicit_id", "explicit_key")
    assert (client.api_url, client.identifier, client.key) == given


@pytest.mark.usefixtures("environment")
def test_client_params_warning() -> None:
    with pytest.warns(UserWarning, match="Environment variable ALCHEMISCALE_") as record:
        client = AlchemiscaleClient(api_url="http://explicit.example.com", identifier="explicit_id")
    assert (client.api_url, client.identifier, client.key) == ("http://explicit.example.com", "explicit_id", "env_key")
    assert [str(warning.message).partition(",")[0] for warning in record] == [
        "Environment variable ALCHEMISCALE_URL is set to 'http://env.example.com'",
        "Environment variable ALCHEMISCALE_ID is set to 'env_id'",
    ]
    # at the caller's line
    assert [Path(warning.filename) for warning in record] == [Path(__file__)] * 2


@pytest.mark.usefixtures("environment")
def test_client_params_hidden_key() -> None:
    with pytest.warns(UserWarning, match="Environment variable ALCHEMISCALE_") as record:
        AlchemiscaleClient(key="explicit_key")
    (warning,) = record
    assert str(warning.message).startswith("Environment variable ALCHEMISCALE_KEY is set")
    assert not any(key in str(warning.message) for key in ("env_key", "explicit_key"))


def test_from_the_profile(no_environment: Path) -> None:
    write_profile(Profile("http://127.0.0.1:8123", "local", "key"))
    client = AlchemiscaleClient()
    assert (client.api_url, client.identifier, client.key) == ("http://127.0.0.1:8123", "local", "key")


@pytest.mark.usefixtures("no_environment")
def test_from_nothing() -> None:
    with pytest.raises(ValueError, match=r"^No API URL provided and ALCHEMISCALE_URL environment variable not set"):
        AlchemiscaleClient()


@pytest.mark.usefixtures("no_environment")
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"retry_base_seconds": 1.0}, ValueError, "'retry_base_seconds' must be greater than 1.0"),
        ({"max_retries": -2}, ValueError, "'max_retries' must be -1"),
        ({"api_url": "example.com"}, ValueError, "`api_url` is 'example.com'"),
    ],
)
def test_arguments_that_make_no_sense(arguments: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as info:
        AlchemiscaleClient(**{"api_url": "http://x", "identifier": "me", "key": "k", **arguments})  # type: ignore[arg-type]
    assert str(info.value).startswith(message)


def test_cache_size_limit_negative(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^`cache_size_limit` must be greater than or equal to zero\.$"):
        AlchemiscaleClient("http://x", "me", "k", tmp_path, cache_size_limit=-1)


@pytest.mark.parametrize("cache_directory", [0, 1.5, b"/tmp", ["/tmp"]])
def test_cache_dir_not_path_str_none(cache_directory: object) -> None:
    with pytest.raises(TypeError, match=r"^`cache_directory` must be a `str`, `pathlib\.Path`, or `None`\.$"):
        AlchemiscaleClient("http://x", "me", "k", cache_directory)  # type: ignore[arg-type]


@pytest.mark.usefixtures("no_environment")
def test_cache_dir_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert AlchemiscaleClient._determine_cache_dir(None) == tmp_path / "xdg" / "alchemiscale"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert AlchemiscaleClient._determine_cache_dir(None) == Path.home() / ".cache" / "alchemiscale"
    assert AlchemiscaleClient._determine_cache_dir(str(tmp_path)) == tmp_path
    AlchemiscaleClient("http://x", "me", "k", cache_directory=tmp_path / "made on first use")
    assert not (tmp_path / "made on first use").exists()


@pytest.mark.usefixtures("no_environment")
def test_cache_disable() -> None:
    client = AlchemiscaleClient("http://x", "me", "k", use_local_cache=False)
    with pytest.raises(AttributeError, match="'AlchemiscaleClient' object has no attribute '_cache'"):
        _ = client._cache


def test_a_clone_has_the_same_settings(tmp_path: Path) -> None:
    client = AlchemiscaleClient("http://x", "me", "k", tmp_path, 1000, True, 7, 3.0, 30.0, False, timeout_seconds=12.0)
    clone = AlchemiscaleClient(**client._settings())
    assert clone._settings() == client._settings()
    assert clone._settings()["timeout_seconds"] == 12.0


def test_a_client_can_be_sent_to_another_process(client: AlchemiscaleClient, server: ScriptedServer) -> None:
    client.get_info()
    sent = pickle.loads(pickle.dumps(client))
    assert sent._settings() == client._settings()
    assert sent.get_info() == "ok"
    assert server.logins == 2
    sent.close()


def test_the_public_names() -> None:
    for name in alchemiscale_prefect.__all__:
        assert getattr(alchemiscale_prefect, name) is not None
    assert set(alchemiscale_prefect.__all__) <= set(dir(alchemiscale_prefect))
    with pytest.raises(AttributeError, match="has no attribute 'AlchemiscaleServer'"):
        _ = alchemiscale_prefect.AlchemiscaleServer


@pytest.mark.parametrize(
    "statement",
    [
        "import alchemiscale_prefect",
        "from alchemiscale_prefect import *",
        "from alchemiscale_prefect import AlchemiscaleClient; AlchemiscaleClient('http://x', 'me', 'k')",
    ],
)
def test_importing_and_making_a_client_loads_nothing_heavy(statement: str) -> None:
    heavy = {"gufe", "prefect", "sqlalchemy", "fastapi", "numpy", "rdkit", "openmm", "networkx"}
    program = f"{statement}\nimport sys\nprint(*({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_no_part_of_the_client_has_too_many_methods() -> None:
    for part in AlchemiscaleClient.__mro__[:-1]:
        own = [name for name, value in vars(part).items() if callable(value) and not name.startswith("_")]
        assert len(own) <= MAX_METHODS, part


def test_every_public_method_is_documented() -> None:
    for name in dir(AlchemiscaleClient):
        method = getattr(AlchemiscaleClient, name)
        if not name.startswith("_") and callable(method):
            assert method.__doc__, name
            needs_parameters = method.__code__.co_argcount > 1
            assert ("Parameters\n" in method.__doc__) == needs_parameters, name


def test_a_client_equal_to_its_environment_does_not_warn(environment: None) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        AlchemiscaleClient("http://env.example.com", "env_id", "env_key")
