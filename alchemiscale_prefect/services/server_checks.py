"""Whether a server's own settings will do: object store, secrets, clock of the database."""

import shutil
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from alchemiscale_prefect.domain import checks
from alchemiscale_prefect.domain.checks import Check
from alchemiscale_prefect.domain.errors import AlchemiscaleError
from alchemiscale_prefect.settings import ApiSettings
from alchemiscale_prefect.store.database import Database
from alchemiscale_prefect.store.objects.port import ObjectStore

GIB = 1024**3
SPACE_WARNING, SPACE_FAILURE = 20 * GIB, 1 * GIB
MINIMUM_SECRET = 32
# of 32 random hexadecimal digits, 13 or so differ
MINIMUM_DISTINCT = 10
ANOTHER = 'make one with: python -c "import secrets; print(secrets.token_hex(32))"'


def check_objects(objects: ObjectStore, folder: Path) -> Iterator[Check]:
    """Write to the object store, read it back, delete it; and look at the space in its folder."""
    location = f"check/{uuid.uuid4().hex}"
    name = "object store"
    fix = f"see that {folder} is mounted, and that this user may write there"
    try:
        objects.put(location, b"check")
        kept = objects.get(location)
        objects.delete([location])
        left = objects.exists(location)
    except AlchemiscaleError as error:
        yield checks.failed(name, error.message, fix)
        return
    if kept != b"check" or left:
        yield checks.failed(name, "it does not give back, or not forget, what it was given", fix)
        return
    yield checks.ok(name, f"{folder}: written, read and deleted")
    yield _space(folder)


def _space(folder: Path) -> Check:
    name = "space for objects"
    usage = shutil.disk_usage(folder)
    detail = f"{usage.free / GIB:.1f} of {usage.total / GIB:.0f} GiB free"
    fix = "make room, or move the object store to a larger disk: results are stored nowhere else"
    if usage.free < SPACE_FAILURE:
        return checks.failed(name, detail, fix)
    if usage.free < SPACE_WARNING and usage.free < 0.1 * usage.total:
        return checks.warning(name, detail, fix)
    return checks.ok(name, detail)


def check_secrets(settings: ApiSettings) -> Check:
    """Whether the secrets that sign tokens could be guessed."""
    name = "token secrets"
    for number, secret in enumerate(settings.jwt_secrets()):
        variable = "ALCHEMISCALE_JWT_ACCEPTED_SECRETS" if number else "ALCHEMISCALE_JWT_SECRET"
        if len(secret) < MINIMUM_SECRET:
            return checks.failed(name, f"{variable} has fewer than {MINIMUM_SECRET} characters", ANOTHER)
        if len(set(secret)) < MINIMUM_DISTINCT:
            return checks.warning(name, f"{variable} repeats itself: it could be guessed", ANOTHER)
    accepted = len(settings.jwt_secrets()) - 1
    return checks.ok(name, "strong" + (f"; {accepted} former accepted too" if accepted else ""))


def check_database_password(url: str) -> Check:
    """Whether the password in a database's URL could be guessed. One that is not in it is not looked at."""
    name = "database password"
    parts = urlsplit(url)
    if not parts.password:
        return checks.skipped(name, "there is none in ALCHEMISCALE_DATABASE_URL")
    password = unquote(parts.password)
    fix = "give the user a random one: alter role … password '…'"
    if password in (parts.username, "postgres", "password", "alchemiscale", "changeme", "secret") or len(password) < 12:
        return checks.warning(name, "short, or one of those that are tried first", fix)
    return checks.ok(name, "long enough")


def check_clock(database: Database) -> Check:
    """Whether the database's clock, by which leases end, agrees with this machine's."""
    sent = datetime.now(UTC)
    told = database.now()
    answered = datetime.now(UTC)
    return checks.clock("database's clock", told - (sent + (answered - sent) / 2), (answered - sent) / 2)
