"""What the SDK raises when a request fails."""

from typing import Any

from alchemiscale_prefect.domain.errors import AlchemiscaleError


class AlchemiscaleBaseClientError(AlchemiscaleError):
    """The API answered a request with an error.

    Attributes
    ----------
    status_code : int
        The HTTP status.
    code : str
        The error's code in `alchemiscale_prefect.domain.errors`; ``"error"`` if the server gave none.
    field : str or None
        The argument or body field at fault, if one is.
    detail : object
        What the server said, usually a sentence.
    retry_after : float or None
        Seconds after which the server asks to try again.
    """

    code: str = "error"  # type: ignore[misc]  # the server's errors have their code per instance

    def __init__(
        self,
        message: str,
        *,
        status_code: int | None = None,
        code: str | None = None,
        field: str | None = None,
        detail: Any = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, field=field)
        self.status_code = status_code
        self.code = code or type(self).code
        self.detail = detail
        self.retry_after = retry_after


class AlchemiscaleClientError(AlchemiscaleBaseClientError):
    """The API answered a request with an error; the message is ``Status Code 400 : Bad Request : <detail>``."""


class AlchemiscaleConnectionError(AlchemiscaleError):
    """No answer came: the API cannot be reached, dropped the connection, or took too long."""

    code = "connection_error"
