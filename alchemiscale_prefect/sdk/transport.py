"""HTTP to the API: one kept-open client, a bearer token, retries, timeouts, and errors told apart."""

import gzip
import json as jsonlib
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from itertools import islice
from typing import Any, TypeVar

import httpx

from alchemiscale_prefect.domain.errors import InvalidInput, NotAuthorized, NotFound
from alchemiscale_prefect.sdk.errors import AlchemiscaleClientError, AlchemiscaleConnectionError
from alchemiscale_prefect.sdk.retries import (
    RetryPolicy,
    is_permanent,
    is_retryable,
    retry_after_seconds,
    was_sent,
)
from alchemiscale_prefect.wire import paths

Item = TypeVar("Item")
Value = TypeVar("Value")
Params = Mapping[str, str | int | float | bool | None]

DEFAULT_COMPRESSION = 5
# A token this young is as good as a new one: asking for another would only repeat the refusal.
_FRESH_SECONDS = 30.0
_THIS_MACHINE = frozenset({"localhost", "127.0.0.1", "::1"})


class Transport:
    """Requests in the name of one identity. Threads may share it; a forked child opens connections of its own.

    Nothing is sent before the first `request`.

    Parameters
    ----------
    api_url
        Where the API is, for example ``https://alchemiscale.example.org``; a path prefix is kept.
    identifier, key
        The identity, and its credential.
    token_path
        Where to ask for a token: `paths.TOKEN` for a user, `paths.COMPUTE_TOKEN` for a compute identity.
    retry
        When to try again.
    verify
        Whether to verify the server's certificate.
    timeout_seconds
        How long to wait for each part of an answer, and for each part of a request to be taken.
    connect_timeout_seconds
        How long to wait for a connection.
    max_workers
        Requests in flight at once in `fan_out`.

    Raises
    ------
    InvalidInput
        A URL that is not one of HTTP; retry settings out of range.
    """

    def __init__(
        self,
        api_url: str,
        identifier: str,
        key: str,
        *,
        token_path: str = paths.TOKEN,
        retry: RetryPolicy | None = None,
        verify: bool = True,
        timeout_seconds: float = 300.0,
        connect_timeout_seconds: float = 15.0,
        max_workers: int = 8,
    ) -> None:
        if not api_url.startswith(("http://", "https://")):
            raise InvalidInput(f"`api_url` is {api_url!r}; it must begin with http:// or https://", field="api_url")
        self.api_url = api_url
        self.identifier = identifier
        self.retry = retry or RetryPolicy()
        self.verify = verify
        self.max_workers = max_workers
        self._key = key
        self._token_path = token_path
        self._timeout = httpx.Timeout(timeout_seconds, connect=connect_timeout_seconds)
        self._sessions: dict[int, _Session] = {}

    def __repr__(self) -> str:
        return f"Transport('{self.api_url}')"

    def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        params: Params | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        compress: bool | int = False,
        idempotent: bool = True,
    ) -> httpx.Response:
        """Send a request with the identity's token and give the answer, if it is a success.

        Parameters
        ----------
        path
            One of `wire.paths`, filled in.
        json, content
            The body: something for JSON, or bytes. Say in `headers` what the bytes are.
        params
            The query; entries of ``None`` are left out.
        compress
            Whether to gzip the body: ``True`` is level 5, an integer from 0 (not at all) to 9 is the level.
        idempotent
            Whether the request may be sent twice without harm. If not, it is tried again only where it certainly had
            no effect.

        Raises
        ------
        AlchemiscaleClientError
            The server answered with an error, after retries where they may help.
        AlchemiscaleConnectionError
            No answer came, after retries.
        InvalidInput
            `compress` is out of range.
        """
        body, sent_headers = _body(json, content, compress)
        sent_headers.update(headers or {})
        query = {name: value for name, value in (params or {}).items() if value is not None}

        def send() -> httpx.Response:
            return self._authorized(
                lambda token: self._send(
                    method,
                    path,
                    params=query,
                    content=body,
                    headers={**sent_headers, "Authorization": f"Bearer {token}"},
                )
            )

        return self._retried(send, idempotent, removes=method == "DELETE")

    def fan_out(self, function: Callable[[Item], Value], items: Iterable[Item]) -> Iterator[Value]:
        """`function` of each item, several at once, given in the order of `items`.

        It stays a few items ahead of the caller and no more, so that what waits to be taken stays small. An
        exception is raised in its item's place and ends it; what has not begun then is not begun.
        """
        todo = iter(items)
        pool = ThreadPoolExecutor(self.max_workers, thread_name_prefix="alchemiscale")
        try:
            begun = deque(pool.submit(function, item) for item in islice(todo, 2 * self.max_workers))
            while begun:
                value = begun.popleft().result()
                begun.extend(pool.submit(function, item) for item in islice(todo, 1))
                yield value
        finally:
            # not waiting: after an error or Ctrl-C the caller is not held up by what another thread still tries
            pool.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """Close the connections; a later request opens new ones."""
        session = self._sessions.pop(os.getpid(), None)
        if session is not None:
            session.close()

    # --- one try ---------------------------------------------------------------------------------------------------

    def _session(self) -> "_Session":
        # one per process: a forked child must not write into its parent's sockets, nor wait for its locks
        process = os.getpid()
        return self._sessions.get(process) or self._sessions.setdefault(process, _Session(self))

    def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        response = self._session().http.request(method, self.api_url.rstrip("/") + path, **arguments)
        if not response.is_success:
            raise _error(response)
        return response

    def _authorized(self, send: Callable[[str], httpx.Response]) -> httpx.Response:
        session = self._session()
        token = session.token()
        try:
            return send(token.text)
        except AlchemiscaleClientError as error:
            if error.status_code != HTTPStatus.UNAUTHORIZED:
                raise
            # a foreign scope is refused with 401 too; an older token may lack a scope that was given since
            if error.code == NotAuthorized.code and token.age_seconds() < _FRESH_SECONDS:
                raise
        return send(session.token(instead_of=token).text)

    def _login(self) -> str:
        """Ask for a token: one try, without retries of its own."""
        response = self._send("POST", self._token_path, data={"username": self.identifier, "password": self._key})
        return str(response.json()["access_token"])

    def _new_http_client(self) -> httpx.Client:
        # shorter than the 5 s after which uvicorn closes an idle connection, so that both do not act at once
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=self.max_workers, keepalive_expiry=3.0)
        # no certificates to read where none are used
        verify = self.verify and self.api_url.startswith("https://")
        # a proxy of the environment knows nothing of what runs on this machine
        trust_env = httpx.URL(self.api_url).host not in _THIS_MACHINE
        client = httpx.Client(timeout=self._timeout, verify=verify, limits=limits, trust_env=trust_env)
        weakref.finalize(self, client.close)
        return client

    # --- and more ----------------------------------------------------------------------------------------------------

    def _retried(self, send: Callable[[], httpx.Response], idempotent: bool, removes: bool) -> httpx.Response:
        retry = 0
        unheard = False
        while True:
            retry += 1
            retry_after = None
            try:
                return send()
            except AlchemiscaleClientError as error:
                if removes and unheard and error.code == NotFound.code:
                    # gone: the try whose answer was lost removed it
                    return httpx.Response(HTTPStatus.NO_CONTENT)
                if not (is_retryable(error, idempotent) and self.retry.allows(retry)):
                    raise
                retry_after = error.retry_after
                unheard = True
            except httpx.RequestError as error:
                harmless = idempotent or not was_sent(error)
                if is_permanent(error) or not harmless or not self.retry.allows(retry):
                    what = str(error) or type(error).__name__
                    raise AlchemiscaleConnectionError(f"No answer from {self.api_url}: {what}") from error
                unheard = unheard or was_sent(error)
            time.sleep(self.retry.wait_seconds(retry, retry_after))


class _Token:
    """A bearer token and when it came."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._since = time.monotonic()

    def age_seconds(self) -> float:
        return time.monotonic() - self._since


class _Session:
    """One process's connections and token."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._lock = threading.Lock()
        self._token_lock = threading.Lock()
        self._http: httpx.Client | None = None
        self._token: _Token | None = None

    @property
    def http(self) -> httpx.Client:
        with self._lock:
            if self._http is None:
                self._http = self._transport._new_http_client()
            return self._http

    def token(self, instead_of: _Token | None = None) -> _Token:
        """The token; a new one if it still is `instead_of`. Threads that find it stale together log in once."""
        with self._token_lock:
            if self._token is None or self._token is instead_of:
                self._token = _Token(self._transport._login())
            return self._token

    def close(self) -> None:
        with self._lock:
            if self._http is not None:
                self._http.close()
                self._http = None


def _body(json: Any, content: bytes | None, compress: bool | int) -> tuple[bytes | None, dict[str, str]]:
    level = DEFAULT_COMPRESSION if compress is True else int(compress)
    if not 0 <= level <= 9:
        raise InvalidInput("`compress` must be a bool or an integer between 0 and 9, inclusive", field="compress")
    headers: dict[str, str] = {}
    if json is not None:
        content = jsonlib.dumps(json, ensure_ascii=False, separators=(",", ":")).encode()
        headers["Content-Type"] = "application/json"
    if content is not None and level:
        content = gzip.compress(content, level, mtime=0)
        headers["Content-Encoding"] = "gzip"
    return content, headers


def _error(response: httpx.Response) -> AlchemiscaleClientError:
    code = field = None
    detail: Any = response.text
    try:
        body = response.json()
    except ValueError:
        body = None
    if isinstance(body, dict):
        detail, code, field = body.get("detail", detail), body.get("code"), body.get("field")
    if response.has_redirect_location:
        detail = f"the API is at {response.headers['Location']}; set `api_url` to match"
    message = f"Status Code {response.status_code} : {response.reason_phrase}"
    return AlchemiscaleClientError(
        f"{message} : {detail}" if detail else message,
        status_code=response.status_code,
        code=code,
        field=field,
        detail=detail,
        retry_after=retry_after_seconds(response),
    )
