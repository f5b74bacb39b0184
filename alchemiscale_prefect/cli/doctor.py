"""``alchemiscale-prefect doctor``."""

import importlib.util
import os
from collections.abc import Callable, Iterable, Iterator

from alchemiscale_prefect.cli.output import Json
from alchemiscale_prefect.domain import checks
from alchemiscale_prefect.domain.checks import Check
from alchemiscale_prefect.domain.errors import InvalidInput

_SETTINGS = "correct it; docs/reference/settings.md lists every setting"
_DATABASE = "ALCHEMISCALE_DATABASE_URL"
_OBJECTS = "ALCHEMISCALE_OBJECT_STORE"
_SECRET = "ALCHEMISCALE_JWT_SECRET"  # noqa: S105  a name
_COMPUTE = "ALCHEMISCALE_COMPUTE_"


def command(as_json: Json = False) -> None:
    """Look at everything that this machine's settings name, and say how to mend what is not well.

    A chemist's machine has an API; a server also a database, an object store, secrets and Prefect; a worker what
    flow runs need. What does not apply is said to be skipped. Exit code 1 if a check failed.
    """
    from alchemiscale_prefect.cli.checks import report

    report(list(examine()), as_json)


def examine() -> Iterator[Check]:
    """Every check that applies here."""
    yield from _user()
    yield from _chemistry()
    yield from _if_set(_DATABASE, "database", "no server", _database)
    yield from _if_set(_OBJECTS, "object store", "no server", _objects)
    yield from _if_set(_SECRET, "token secrets", "no API server", _secrets)
    yield from _prefect()
    yield from _compute()


def _user() -> Iterator[Check]:
    from alchemiscale_prefect.sdk.checks import check_api
    from alchemiscale_prefect.sdk.credentials import find_credentials

    try:
        profile = find_credentials(None, None, None)
    except InvalidInput as error:
        if any(name in os.environ for name in ("ALCHEMISCALE_URL", "ALCHEMISCALE_ID", "ALCHEMISCALE_KEY")):
            yield checks.failed("API", error.message, "set all of ALCHEMISCALE_URL, ALCHEMISCALE_ID, ALCHEMISCALE_KEY")
        else:
            yield checks.skipped("API", error.message)
        return
    yield from check_api(profile)


def _chemistry() -> Iterator[Check]:
    if importlib.util.find_spec("gufe") is None:
        yield checks.skipped("gufe", "not installed: this machine cannot submit networks, fetch results or run Tasks")
        return
    from alchemiscale_prefect.chemistry.checks import check_gufe

    yield from check_gufe()


def _database() -> Iterator[Check]:
    from alchemiscale_prefect.bootstrap import make_database
    from alchemiscale_prefect.services import database_checks, hosts, server_checks, shares
    from alchemiscale_prefect.settings import HostSettings, ShareSettings, read

    database = make_database()
    try:
        found = database_checks.reachable(database)
        yield from found
        if checks.passed(found):
            yield database_checks.counts(database)
            yield server_checks.check_clock(database)
            yield hosts.check(database, read(HostSettings).host_policy)
            yield shares.check(database, read(ShareSettings).fair_share)
    finally:
        database.close()
    yield server_checks.check_database_password(os.environ[_DATABASE])


def _objects() -> Iterable[Check]:
    from alchemiscale_prefect.bootstrap import make_objects
    from alchemiscale_prefect.services.server_checks import check_objects
    from alchemiscale_prefect.settings import ObjectStoreSettings, read

    return check_objects(make_objects(), read(ObjectStoreSettings).object_store)


def _secrets() -> Iterable[Check]:
    from alchemiscale_prefect.services.server_checks import check_secrets
    from alchemiscale_prefect.settings import ApiSettings, read

    return [check_secrets(read(ApiSettings))]


def _prefect() -> Iterable[Check]:
    if importlib.util.find_spec("prefect") is None:
        return [checks.skipped("Prefect API", "Prefect is not installed here")]
    if _DATABASE not in os.environ and "PREFECT_API_URL" not in os.environ:
        return [checks.skipped("Prefect API", "PREFECT_API_URL is not set: no server and no worker")]

    def look() -> Iterable[Check]:
        from alchemiscale_prefect.orchestration.checks import check_prefect
        from alchemiscale_prefect.settings import DispatchSettings, read

        settings = read(DispatchSettings)
        return check_prefect(settings.pool, settings.deployment)

    return _guarded("Prefect API", look)


def _compute() -> Iterable[Check]:
    if not any(name.startswith(_COMPUTE) for name in os.environ):
        return [checks.skipped("compute settings", f"no {_COMPUTE}… is set: no worker")]

    def look() -> Iterator[Check]:
        from alchemiscale_prefect.execution.checks import check_folders, check_gpus
        from alchemiscale_prefect.sdk.checks import check_api
        from alchemiscale_prefect.sdk.profile import Profile
        from alchemiscale_prefect.settings import ComputeSettings, read
        from alchemiscale_prefect.wire import paths

        settings = read(ComputeSettings)
        yield checks.ok("compute settings", "complete")
        profile = Profile(settings.api_url, settings.identifier, settings.key.get_secret_value())
        yield from check_api(profile, token_path=paths.COMPUTE_TOKEN, whose="compute ")
        yield from check_folders(settings)
        yield check_gpus(settings)

    return _guarded("compute settings", look)


def _if_set(variable: str, name: str, otherwise: str, look: Callable[[], Iterable[Check]]) -> Iterable[Check]:
    if variable not in os.environ:
        return [checks.skipped(name, f"{variable} is not set: {otherwise}")]
    if importlib.util.find_spec("pydantic_settings") is None:
        return [
            checks.failed(name, "the server's packages are not installed", "pip install 'alchemiscale-prefect[server]'")
        ]
    return _guarded(name, look)


def _guarded(name: str, look: Callable[[], Iterable[Check]]) -> Iterator[Check]:
    try:
        yield from look()
    except InvalidInput as error:
        yield checks.failed(name, error.message, _SETTINGS)
