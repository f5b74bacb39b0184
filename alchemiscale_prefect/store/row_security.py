"""Row-level security: a transaction that Postgres keeps to the rows of some scopes, whatever its queries ask for.

Migration 0004 makes the policies. They hold for the role `ROLE` and read the settings that `confine` makes, both of
which end with the transaction. Tables belong to another user, whom no policy binds: the dispatcher, log-ins,
administration and migrations work as that one.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import Text

from alchemiscale_prefect.domain.errors import InvalidInput, NotAuthorized, Unavailable
from alchemiscale_prefect.domain.scopes import Scope

ROLE = "alchemiscale_scoped"

_ATTEMPTS = 10
_NO_RIGHT = "42501"
# somebody else made or granted the role in this moment: roles are the whole server's, our migration lock a database's
_RACES = ("42710", "23505", "XX000")
# where Postgres says that a row may not be written; grants that are missing have the same SQLSTATE
_REFUSING = "ExecWithCheckOptions"

# the scopes themselves are looked up as the owner: the role of a statement is that of its beginning
_CONFINE = text(
    f"""
    select set_config('alchemiscale.every_scope', cast(cast(:every as boolean) as text), true),
           set_config('alchemiscale.scopes', :names, true),
           set_config('alchemiscale.scope_ids', coalesce((
               select cast(range_agg(int4range(s.id, s.id, '[]')) as text)
               from unnest(:orgs, :campaigns, :projects) as v(org, campaign, project)
               join scope s on s.org = v.org
                   and (v.campaign is null or v.campaign = s.campaign)
                   and (v.project is null or v.project = s.project)), '{{}}'), true),
           set_config('role', '{ROLE}', true)
    """  # noqa: S608  the interpolated text is a constant
).bindparams(*(bindparam(name, type_=ARRAY(Text)) for name in ("orgs", "campaigns", "projects")))

_ADMIT = text(
    """
    select set_config('alchemiscale.scope_ids', cast(
        cast(coalesce(nullif(current_setting('alchemiscale.scope_ids', true), ''), '{}') as int4multirange)
        + int4multirange(int4range(:id, :id, '[]')) as text), true)
    """
)

# gives the role that was
_LIFT = text(
    """
    select was.role from (select current_setting('role') as role from scope where id = :id offset 0) was,
           lateral (select set_config('role', 'none', true) where was.role is not null) lifted
    """
)


def confine(connection: Connection, scopes: Sequence[Scope]) -> None:
    """Keep the rest of the transaction to the rows of `scopes`, which may have wildcards. One statement."""
    connection.execute(
        _CONFINE,
        {
            "every": Scope() in scopes,
            "names": "{" + ",".join(map(str, scopes)) + "}",
            "orgs": [scope.org for scope in scopes],
            "campaigns": [scope.campaign for scope in scopes],
            "projects": [scope.project for scope in scopes],
        },
    )


def admit(connection: Connection, scope_id: int) -> None:
    """Let a confined transaction into a scope that was made after it began; its policies let it see only its own."""
    connection.execute(_ADMIT, {"id": scope_id})


@contextmanager
def lifted(connection: Connection, scope_id: int) -> Iterator[None]:
    """Without policies in the block, for COPY, which knows none; what it writes must all be of one visible scope.

    Raises
    ------
    NotAuthorized
        The scope is not visible.
    """
    role = connection.execute(_LIFT, {"id": scope_id}).scalar_one_or_none()
    if role is None:
        raise NotAuthorized("the database refuses to write outside of this identity's scopes")
    yield
    connection.execute(text("select set_config('role', :role, true)"), {"role": role})


def refused(error: DBAPIError) -> bool:
    """Whether a policy refused what a statement wanted to write."""
    return getattr(getattr(error.orig, "diag", None), "source_function", None) == _REFUSING


def ensure_role(connection: Connection) -> None:
    """Have the role that the policies are for, and be a member of it. Any number may do so at once.

    Raises
    ------
    InvalidInput
        The database's user has not the right; says what an administrator of the server is to run.
    """
    for _ in range(_ATTEMPTS):
        if _usable(connection):
            return
        try:
            with connection.begin_nested():
                if not _exists(connection):
                    connection.exec_driver_sql(f"create role {ROLE} nologin")
            with connection.begin_nested():
                if not _usable(connection):
                    connection.exec_driver_sql(f"grant {ROLE} to current_user")
        except DBAPIError as error:
            state = getattr(error.orig, "sqlstate", None)
            if state == _NO_RIGHT:
                user = connection.execute(text("select quote_ident(current_user)")).scalar_one()
                raise InvalidInput(
                    f"the database's user {user} can neither make nor take the role {ROLE}, which row-level security "
                    f"needs; have an administrator of the server run once: create role {ROLE} nologin (unless it is "
                    f"there); grant {ROLE} to {user};",
                    field="database_url",
                ) from error
            if state not in _RACES:
                raise
    raise Unavailable(f"the role {ROLE} was being changed all the time; try again")


def check(connection: Connection) -> None:
    """Raise `Unavailable`, saying what to mend, unless requests can be confined and nothing else is."""
    if not _usable(connection):
        raise Unavailable(f"the database's user cannot take the role {ROLE}; run `alchemiscale-prefect db upgrade`")
    if connection.execute(text("select row_security_active('task')")).scalar_one():
        raise Unavailable("row-level security binds the database's user itself; connect as the owner of the tables")


def _exists(connection: Connection) -> bool:
    return bool(connection.execute(text("select to_regrole(:role) is not null"), {"role": ROLE}).scalar_one())


def _usable(connection: Connection) -> bool:
    if not _exists(connection):
        return False
    try:
        with connection.begin_nested() as savepoint:
            connection.execute(text("select set_config('role', :role, true)"), {"role": ROLE})
            savepoint.rollback()
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != _NO_RIGHT:
            raise
        return False
    return True
