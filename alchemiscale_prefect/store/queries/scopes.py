"""Scopes in the database: which of them a query sees, and who may write to one."""

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Text

from alchemiscale_prefect.domain.errors import GufeVersionConflict
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.store import row_security

NAME = "s.org || '-' || s.campaign || '-' || s.project"
"""A scope as a string, for a query in which its table is ``s``."""

_COVERED = text(
    """
    select s.id from scope s
    where exists (
        select 1 from unnest(:orgs, :campaigns, :projects) as v(org, campaign, project)
        where (v.org is null or v.org = s.org)
          and (v.campaign is null or v.campaign = s.campaign)
          and (v.project is null or v.project = s.project))
    """
).bindparams(*(bindparam(name, type_=ARRAY(Text)) for name in ("orgs", "campaigns", "projects")))


def covered(connection: Connection, scopes: Sequence[Scope]) -> list[int]:
    """Ids of the scopes that hold something and that one of `scopes` covers."""
    parts = {
        "orgs": [scope.org for scope in scopes],
        "campaigns": [scope.campaign for scope in scopes],
        "projects": [scope.project for scope in scopes],
    }
    return list(connection.execute(_COVERED, parts).scalars())


def enter(connection: Connection, scope: Scope, line: str) -> int:
    """Be the only one that writes objects to `scope`, until the end of the transaction.

    Parameters
    ----------
    scope
        Specific; its row is made if this is its first use.
    line
        The gufe major line of what will be written.

    Returns
    -------
    int
        Its id.

    Raises
    ------
    GufeVersionConflict
        It holds objects of another line.
    """
    connection.execute(
        text("select pg_advisory_xact_lock(hashtextextended('scope:' || :name, 0))"), {"name": str(scope)}
    )
    parts = scope.to_dict()
    select = text("select id, gufe_line from scope where org = :org and campaign = :campaign and project = :project")
    row = connection.execute(select, parts).one_or_none()
    if row is None:
        insert = text(
            "insert into scope (org, campaign, project) values (:org, :campaign, :project) returning id, gufe_line"
        )
        row = connection.execute(insert, parts).one()
    row_security.admit(connection, row.id)
    if row.gufe_line is None:
        connection.execute(text("update scope set gufe_line = :line where id = :id"), {"line": line, "id": row.id})
    elif row.gufe_line != line:
        raise GufeVersionConflict(
            f"scope {scope} holds objects of gufe {row.gufe_line}.x and these are of gufe {line}.x; keys of the two "
            "are not interchangeable: use another scope, or the other gufe",
            field="scope",
        )
    return int(row.id)
