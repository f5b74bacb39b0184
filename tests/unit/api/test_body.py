"""Decompressing and decoding request bodies, within their limit."""

import gzip
import json
import tracemalloc
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alchemiscale_prefect.api.body import decode, documented, gunzip
from alchemiscale_prefect.domain.errors import BodyTooLarge, InvalidBody
from alchemiscale_prefect.wire.compute import Finish


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=4))
def test_any_members_are_one_body(parts):
    packed = b"".join(map(gzip.compress, parts))
    assert gunzip(BytesIO(packed), 1000) == b"".join(parts)


@given(st.binary(min_size=1, max_size=500), st.integers(-2, 2))
def test_the_limit_is_exact(data, slack):
    file = BytesIO(gzip.compress(data))
    if slack < 0:
        with pytest.raises(BodyTooLarge):
            gunzip(file, len(data) + slack)
    else:
        assert gunzip(file, len(data) + slack) == data


@given(st.binary(min_size=1, max_size=300), st.data())
def test_what_is_cut_off_is_refused(data, drawn):
    packed = gzip.compress(data)
    with pytest.raises(InvalidBody):
        gunzip(BytesIO(packed[: drawn.draw(st.integers(0, len(packed) - 1))]), 1000)


def test_a_bomb_is_never_in_memory():
    bomb = gzip.compress(b"\0" * 300_000_000, 9)
    limit = 2_000_000
    tracemalloc.start()
    try:
        with pytest.raises(BodyTooLarge):
            gunzip(BytesIO(bomb), limit)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3 * limit


@pytest.mark.parametrize("data", [b"", b"\x1f\x8b", b"plain text", gzip.compress(b"x", mtime=0) + b"more"])
def test_what_is_not_gzip_is_refused(data):
    with pytest.raises(InvalidBody):
        gunzip(BytesIO(data), 1000)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_json_is_decoded_as_python_does_it(value):
    assert decode(json.dumps(value).encode()) == value


def test_openapi_has_nested_models_in_place():
    schema = documented(Finish)["requestBody"]["content"]["application/json"]["schema"]
    text = json.dumps(schema)
    assert "$ref" not in text
    assert "$defs" not in text
    assert "failure_key" in schema["properties"]["tracebacks"]["items"]["properties"]
