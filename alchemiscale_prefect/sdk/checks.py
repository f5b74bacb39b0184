"""Whether the API can be used from here, with these credentials."""

import base64
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpx

from alchemiscale_prefect.domain import checks
from alchemiscale_prefect.domain.checks import Check
from alchemiscale_prefect.sdk.profile import Profile
from alchemiscale_prefect.wire import paths

TIMEOUT_SECONDS = 10.0
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
_AWAY = "see that the API runs there and can be reached from here; `alchemiscale-prefect api` or `up` starts one"


def check_api(profile: Profile, *, token_path: str = paths.TOKEN, whose: str = "") -> list[Check]:
    """Look at an API, and log in.

    Parameters
    ----------
    profile
        Its address, and an identity there.
    token_path
        Where to log in: `paths.TOKEN` for a user, `paths.COMPUTE_TOKEN` for a compute identity.
    whose
        Put before the names of the checks, where there are several APIs or identities.
    """
    name = f"{whose}API".lstrip()
    try:
        with httpx.Client(base_url=profile.api_url.rstrip("/"), timeout=TIMEOUT_SECONDS) as http:
            found = list(_server(http, profile, name))
            if checks.passed(found):
                found += _login(http, profile, token_path, whose)
            return found
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return [checks.failed(name, f"{profile.api_url}: {error or type(error).__qualname__}", _AWAY)]


def _server(http: httpx.Client, profile: Profile, name: str) -> Iterator[Check]:
    sent = datetime.now(UTC)
    answer = http.get(paths.PING)
    answered = datetime.now(UTC)
    try:
        known = answer.is_success and answer.json() == {"api": "AlchemiscaleAPI"}
    except ValueError:
        known = False
    if not known:
        what = f"{profile.api_url} answers, but is no alchemiscale API (status {answer.status_code})"
        yield checks.failed(name, what, "correct ALCHEMISCALE_URL: the address without the path of a route")
        return
    parts = urlsplit(profile.api_url)
    if parts.scheme == "http" and parts.hostname not in _LOCAL:
        fix = "put the API behind a proxy with TLS, and use https://"
        yield checks.warning(name, f"{profile.api_url}: keys cross the network in the clear", fix)
    else:
        yield checks.ok(name, profile.api_url)
    yield checks.http_clock(f"{name}'s clock", answer.headers.get("date"), sent, answered)


def _login(http: httpx.Client, profile: Profile, token_path: str, whose: str) -> Iterator[Check]:
    name = f"{whose}credentials".lstrip()
    answer = http.post(token_path, data={"username": profile.identifier, "password": profile.key})
    if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
        wait = f"wait {answer.headers.get('retry-after', '60')} s"
        yield checks.failed(name, f"{profile.identifier!r} was refused too often of late", wait)
        return
    if not answer.is_success:
        fix = (
            "correct identifier and key, or have an administrator look at the identity: `identity list`, `identity key`"
        )
        yield checks.failed(name, f"{profile.identifier!r} is refused (status {answer.status_code})", fix)
        return
    token = str(answer.json()["access_token"])
    yield checks.ok(name, f"{profile.identifier!r} logs in")
    grants = granted(token)
    if grants is not None:
        yield _permissions(grants, f"{whose}permissions".lstrip())
    if token_path == paths.TOKEN:
        yield _well(http, token)


def _permissions(grants: Mapping[str, str], name: str) -> Check:
    ask = "have an administrator, or who has 'domain' there, grant it: `alchemiscale-prefect identity`"
    if not grants:
        return checks.failed(name, "in no Scope", ask)
    told = ", ".join(f"{permission} in {scope}" for scope, permission in sorted(grants.items()))
    if set(grants.values()) == {"read"}:
        return checks.warning(name, f"{told}: nothing can be submitted", ask)
    return checks.ok(name, told)


def _well(http: httpx.Client, token: str) -> Check:
    name = "API's own needs"
    answer = http.get(paths.CHECK, headers={"Authorization": f"Bearer {token}"})
    if answer.is_success:
        return checks.ok(name, "it reaches its database and its object store")
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = f"status {answer.status_code}"
    return checks.failed(name, str(detail), "run `alchemiscale-prefect doctor` on the API's host")


def granted(token: str) -> dict[str, str] | None:
    """Scope → permission, as a token of ours says; ``None`` if it is of another kind. Nothing is verified."""
    try:
        payload = token.split(".")[1]
        grants = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["grants"]
        return {str(scope): str(permission) for scope, permission in grants.items()}
    except (IndexError, ValueError, KeyError, TypeError, AttributeError):
        return None
