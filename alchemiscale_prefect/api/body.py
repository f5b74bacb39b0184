"""Request bodies: read as a stream, within a limit, gzip or not; then JSON, checked.

Routes take every body through here, never as a FastAPI body parameter, which would be read into memory whole.
"""

import json
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cache
from tempfile import SpooledTemporaryFile
from typing import IO, Annotated, Any, TypeAlias

from fastapi import Depends, Request
from pydantic import TypeAdapter, ValidationError
from starlette.concurrency import run_in_threadpool

from alchemiscale_prefect.api.errors import invalid_body
from alchemiscale_prefect.domain.errors import BodyTooLarge, InvalidBody

# up to here a body stays in memory while it comes in
IN_MEMORY = 1024**2
# up to here it is read and decoded where it came in: that takes less time than handing it to another thread
_AT_ONCE = 32 * 1024
_CHUNK = 256 * 1024

Spool: TypeAlias = "SpooledTemporaryFile[bytes]"


@asynccontextmanager
async def spooled(request: Request, limit: int) -> AsyncIterator[tuple[Spool, int]]:
    """The body as it was sent, in a file, and its size; `BodyTooLarge` as soon as that is known."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and (len(declared) > len(str(limit)) or int(declared) > limit):
        raise _too_large(limit)
    with SpooledTemporaryFile(max_size=IN_MEMORY) as file:
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit:
                raise _too_large(limit)
            file.write(chunk)
        file.seek(0)
        yield file, size


async def _bytes(request: Request) -> bytes:
    # not as dependencies of dependencies: each costs as much as a small body
    limit = request.app.state.system.api.max_body_bytes
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    async with spooled(request, limit) as (file, size):
        if encoding == "gzip":
            return await run_in_threadpool(gunzip, file, limit)
        if encoding in ("identity", ""):
            return file.read() if size <= _AT_ONCE else await run_in_threadpool(file.read)
    raise InvalidBody(f"Content-Encoding {encoding!r} is not supported; send gzip or none", field="Content-Encoding")


Bytes = Annotated[bytes, Depends(_bytes)]
"""The body, decompressed."""


@cache
def json_body(type_: Any, field: str | None = None) -> Callable[[Request], Awaitable[Any]]:
    """A dependency that reads the body as JSON and checks it against `type_`; for ``Annotated[type_, Depends(…)]``.

    `field` is what errors call a body that is a bare value.
    """
    named = () if field is None else (field,)
    adapter: TypeAdapter[Any] = TypeAdapter(type_)

    def parsed(data: bytes) -> Any:
        try:
            return adapter.validate_python(decode(data))
        except ValidationError as error:
            found = error.errors(include_url=False, include_input=False)
            raise invalid_body([{**item, "loc": (*named, *item["loc"])} for item in found]) from error

    async def body(request: Request) -> Any:
        data = await _bytes(request)
        return parsed(data) if len(data) <= _AT_ONCE else await run_in_threadpool(parsed, data)

    return body


def documented(type_: Any) -> dict[str, Any]:
    """What OpenAPI says of a route that takes `type_` through `json_body`; for ``openapi_extra``."""
    schema = TypeAdapter(type_).json_schema()
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": _inlined(schema, schema)}}}}


def _inlined(node: Any, root: dict[str, Any]) -> Any:
    # a reference is looked up from the top of the document, where there is no such definition
    if isinstance(node, list):
        return [_inlined(item, root) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _inlined(root["$defs"][node["$ref"].rpartition("/")[2]], root)
    return {name: _inlined(value, root) for name, value in node.items() if name != "$defs"}


def gunzip(file: IO[bytes], limit: int) -> bytes:
    """What a gzip file holds.

    Raises
    ------
    BodyTooLarge
        It is more than `limit` bytes; no more than that is ever decompressed.
    InvalidBody
        It is not gzip, or cut off.
    """
    data = bytearray()
    inflater = zlib.decompressobj(wbits=31)
    try:
        for chunk in iter(lambda: file.read(_CHUNK), b""):
            rest = chunk
            while rest:
                if inflater.eof:  # a file may have several members
                    inflater = zlib.decompressobj(wbits=31)
                data += inflater.decompress(rest, _CHUNK)
                if len(data) > limit:
                    raise _too_large(limit)
                rest = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
        data += inflater.flush()
    except zlib.error as error:
        raise InvalidBody(f"the body is not gzip as its Content-Encoding says: {error}") from error
    if not inflater.eof:
        raise InvalidBody("the body is gzip cut off before its end")
    if len(data) > limit:
        raise _too_large(limit)
    return bytes(data)


def decode(data: bytes) -> Any:
    """JSON as Python values; `InvalidBody` says where it is not JSON."""
    try:
        return json.loads(data)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno} (character {error.pos})"
        raise InvalidBody(f"the body is not JSON: {error.msg} at {where}") from error
    except UnicodeDecodeError as error:
        raise InvalidBody(f"the body is not UTF-8 at byte {error.start}") from error
    except RecursionError as error:
        raise InvalidBody("the body is nested too deeply") from error
    except ValueError as error:
        raise InvalidBody(f"the body is not JSON that can be read: {error}") from error


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"the body is larger than the limit of {limit} bytes, compressed or not")
