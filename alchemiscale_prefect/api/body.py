"""Request bodies: read as a stream, within a limit, gzip or not; then JSON, checked.

Routes take every body through here, never as a FastAPI body parameter, which would be read into memory whole.
"""

import json
import zlib
from collections.abc import AsyncIterator, Callable
from functools import cache
from tempfile import SpooledTemporaryFile
from typing import IO, Annotated, Any, TypeAlias

from fastapi import Depends, Request
from pydantic import TypeAdapter, ValidationError

from alchemiscale_prefect.api.dependencies import CurrentSystem
from alchemiscale_prefect.api.errors import invalid_body
from alchemiscale_prefect.domain.errors import BodyTooLarge, InvalidBody

# up to here a body stays in memory while it comes in
IN_MEMORY = 1024**2
_CHUNK = 256 * 1024

Spool: TypeAlias = "SpooledTemporaryFile[bytes]"


async def spooled(request: Request, limit: int) -> AsyncIterator[Spool]:
    """The body as it was sent, in a file; `BodyTooLarge` as soon as that is known."""
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
        yield file


async def _spooled(request: Request, system: CurrentSystem) -> AsyncIterator[Spool]:
    async for file in spooled(request, system.api.max_body_bytes):
        yield file


def _bytes(request: Request, file: Annotated[Spool, Depends(_spooled)], system: CurrentSystem) -> bytes:
    # a plain function: FastAPI runs it, and what takes its result, off the event loop
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding == "gzip":
        return gunzip(file, system.api.max_body_bytes)
    if encoding in ("identity", ""):
        return file.read()
    raise InvalidBody(f"Content-Encoding {encoding!r} is not supported; send gzip or none", field="Content-Encoding")


Bytes = Annotated[bytes, Depends(_bytes)]
"""The body, decompressed."""


@cache
def json_body(type_: Any) -> Callable[[bytes], Any]:
    """A dependency that reads the body as JSON and checks it against `type_`; for ``Annotated[type_, Depends(…)]``."""
    adapter: TypeAdapter[Any] = TypeAdapter(type_)

    def parsed(data: Bytes) -> Any:
        try:
            return adapter.validate_python(decode(data))
        except ValidationError as error:
            raise invalid_body(error.errors(include_url=False, include_input=False)) from error

    return parsed


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
