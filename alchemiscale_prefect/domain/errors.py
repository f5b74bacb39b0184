"""Every error of the system, one tree, each with a code.

The API maps a code to an HTTP status in one handler; the SDK maps the code back. The message is what a user
reads, so it names the field and the fix.

::

    AlchemiscaleError
    ├── InvalidInput            the request itself is wrong
    │   ├── InvalidScope        (also a ValueError, as in alchemiscale)
    │   ├── InvalidScopedKey    (also a ValueError)
    │   ├── InvalidKeyedChain   a keyed chain that is truncated or forged
    │   ├── ModuleNotAllowed    a keyed chain names a module outside the allow-list
    │   ├── InvalidGufeKey     (domain.keys)
    │   ├── UnknownState        a status or state that does not exist
    │   ├── InvalidBody         a request that is not JSON, or lacks or mistakes a field
    │   └── BodyTooLarge
    ├── NotFound                no such object in the database
    ├── Conflict                the request contradicts what is stored
    │   ├── ContentConflict     the key stands in the scope with other content
    │   ├── GufeVersionConflict the scope holds objects of another gufe major line
    │   └── AttemptVoid         an attempt that may not run (any more)
    │       └── HostRefused     its host may not run it now; another may
    ├── NotAuthenticated        no identity, a wrong key, or an expired token
    ├── NotAuthorized           the identity may not act in this scope
    │   └── PermissionDenied    it may, but not do this
    ├── TooManyRequests         wrong keys, too often
    └── Unavailable             the database or the object store cannot be reached now
        └── LeaseHeld           an earlier run of the Task may still be computing
"""

from typing import ClassVar


class AlchemiscaleError(Exception):
    """Base of every error this package raises on purpose.

    Parameters
    ----------
    message
        What went wrong and how to mend it.
    field
        The argument or body field at fault, if one is.
    """

    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field

    def __str__(self) -> str:
        return self.message


class InvalidInput(AlchemiscaleError, ValueError):
    """The request is wrong in itself; nothing was changed."""

    code = "invalid_input"


class InvalidScope(InvalidInput):
    """A Scope that breaks a rule of scopes."""

    code = "invalid_scope"


class InvalidScopedKey(InvalidInput):
    """A string or mapping that is not a ScopedKey."""

    code = "invalid_scoped_key"


class InvalidKeyedChain(InvalidInput):
    """A keyed chain that is truncated, out of order or forged."""

    code = "invalid_keyed_chain"


class ModuleNotAllowed(InvalidInput):
    """A keyed chain names a module that may not be imported here."""

    code = "module_not_allowed"


class UnknownState(InvalidInput):
    """A status or state outside its enumeration."""

    code = "unknown_state"


class InvalidBody(InvalidInput):
    """A request that is not JSON, or lacks or mistakes a field."""

    code = "invalid_body"


class BodyTooLarge(InvalidInput):
    """A request body over the configured limit."""

    code = "body_too_large"


class NotFound(AlchemiscaleError, KeyError):
    """No such object in the database."""

    code = "not_found"


class Conflict(AlchemiscaleError):
    """The request contradicts what is stored; nothing was changed."""

    code = "conflict"


class ContentConflict(Conflict):
    """A gufe key already stands in the scope with other content."""

    code = "content_conflict"


class GufeVersionConflict(Conflict):
    """The scope holds objects of another gufe major line, whose keys are not interchangeable."""

    code = "gufe_version_conflict"


class AttemptVoid(Conflict):
    """An attempt that may not run: cancelled, superseded, or held by another run."""

    code = "attempt_void"


class HostRefused(AttemptVoid):
    """An attempt that may not run on its host; its Task waits for another. Keep the place for `retry_after` seconds."""

    code = "host_refused"

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class NotAuthenticated(AlchemiscaleError):
    """Unknown identity, wrong key, or an expired or foreign token."""

    code = "not_authenticated"


class NotAuthorized(AlchemiscaleError):
    """The identity has no access to the scope it names."""

    code = "not_authorized"


class PermissionDenied(NotAuthorized):
    """The identity sees the scope, but has not the permission that this needs there."""

    code = "permission_denied"


class TooManyRequests(AlchemiscaleError):
    """Too many refused logins; wait `retry_after` seconds."""

    code = "too_many_requests"

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(AlchemiscaleError):
    """Something the server needs cannot be reached now, or was busy; nothing was changed, try again."""

    code = "unavailable"


class LeaseHeld(Unavailable):
    """A run of this Task that nobody wants any more may still be at it; it says when it has stopped, or its lease ends.

    Ask again in `retry_after` seconds.
    """

    code = "lease_held"
    retry_after = 2
