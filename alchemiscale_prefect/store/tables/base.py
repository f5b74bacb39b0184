"""The metadata every table belongs to, and the column shapes they share."""

from typing import Any

from sqlalchemy import CheckConstraint, Column, DateTime, MetaData, text

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def created_at() -> Column[Any]:
    """When the row was made, by the database's clock."""
    return Column("created_at", DateTime(timezone=True), nullable=False, server_default=text("now()"))


def one_of(column: str, values: type) -> CheckConstraint:
    """`column` holds a member of the enumeration `values`. A check, not a Postgres enum: members can be added."""
    members = ", ".join(f"'{member}'" for member in values)  # type: ignore[attr-defined]
    return CheckConstraint(f"{column} in ({members})", name=column)
