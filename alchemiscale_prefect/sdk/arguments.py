"""What a user may pass where a ScopedKey or a Scope is meant."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from alchemiscale_prefect.domain.access import Permission
from alchemiscale_prefect.domain.errors import InvalidInput, InvalidScopedKey
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.scopes import Scope

Item = TypeVar("Item")


def as_scoped_key(value: ScopedKey | str, field: str) -> ScopedKey:
    """`value` as a ScopedKey. Strings may have white space around them: many come out of files.

    Raises
    ------
    InvalidScopedKey
        Also a ValueError; names `field`.
    """
    if isinstance(value, ScopedKey):
        return value
    try:
        return ScopedKey.from_str(str(value).strip())
    except InvalidInput as error:
        raise InvalidScopedKey(
            f"input does not appear to be a `ScopedKey`: `{field}` is {value!r}", field=field
        ) from error


def as_scoped_keys(values: Iterable[ScopedKey | str], field: str) -> list[ScopedKey]:
    """Each of `values` as a ScopedKey, in order.

    Raises
    ------
    InvalidScopedKey
        One of them is none, or a single one was given instead of several.
    """
    if isinstance(values, str | ScopedKey):
        raise InvalidScopedKey(f"`{field}` must be a list of ScopedKeys; got one: {str(values)!r}", field=field)
    return [as_scoped_key(value, field) for value in values]


def as_scope(value: Scope | str | None) -> Scope:
    """`value` as a Scope; ``None`` is every scope.

    Raises
    ------
    InvalidScope
        Also a ValueError.
    """
    if value is None:
        return Scope()
    return value if isinstance(value, Scope) else Scope.from_str(str(value).strip())


def as_permission(value: Permission | str) -> Permission:
    """`value` as a Permission.

    Raises
    ------
    InvalidInput
        Also a ValueError: there is none of this name.
    """
    try:
        return Permission(value)
    except ValueError as error:
        known = ", ".join(Permission)
        raise InvalidInput(f"{value!r} is no permission; there are {known}", field="permission") from error


def batches(items: Sequence[Item], size: int) -> Iterator[list[Item]]:
    """`items` in lists of `size`, in order.

    Raises
    ------
    InvalidInput
        Also a ValueError: `size` is less than one.
    """
    if size < 1:
        raise InvalidInput("`batch_size` must be at least one", field="batch_size")
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
