"""Keyed chains: any proper one is read, and any that is changed is refused with a field."""

import copy
import hashlib
import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from alchemiscale_prefect.domain.errors import InvalidKeyedChain
from alchemiscale_prefect.domain.keyed_chains import parse, referenced_key, same_content
from alchemiscale_prefect.domain.network_content import read_network
from tests.chains import keys_of, network_chain, pair, reference

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
PLACES = (
    lambda one: {"direct": one},
    lambda one: {"list": [1, [one]]},
    lambda one: {"mapping": {"deep": {"er": one}}},
)


@st.composite
def chains(draw):
    """A chain of 1 to 7 objects: each names some that came before, and the last needs all."""
    made = []
    for n in range(draw(st.integers(1, 7))):
        content = {"n": n, "value": draw(values)}
        for target in draw(st.sets(st.integers(0, n - 1), max_size=3) if n else st.just(set())):
            content.update({f"{target}": draw(st.sampled_from(PLACES))(reference(made[target]))})
        made.append(pair(draw(st.sampled_from(["Thing", "Other.Thing"])), content))
    used = {key for _, content in made for key in parse_references(content)}
    roots = [item for item in made if item[0] not in used]
    if len(roots) > 1 or roots[0] is not made[-1]:
        made.append(pair("Root", {"all": [reference(item) for item in roots]}))
    return made


def parse_references(value):
    if isinstance(value, dict):
        if ":gufe-key:" in value:
            return {value[":gufe-key:"]}
        return set().union(*map(parse_references, value.values()))
    return set().union(*map(parse_references, value)) if isinstance(value, list) else set()


@given(chains())
def test_any_proper_chain_is_read(chain):
    read = parse(chain, "thing")
    assert [entry.key for entry in read.entries] == [key for key, _ in chain]
    assert read.root.key == chain[-1][0]
    assert read.gufe_line == "1"
    for entry, (key, content) in zip(read.entries, chain, strict=True):
        assert (entry.key, entry.content) == (key, content)
        assert set(entry.references) == parse_references(content)
        assert len(entry.references) == len(set(entry.references))
        assert read.by_key[key] is entry
        assert json.loads(entry.text) == content


def refuse(chain):
    with pytest.raises(InvalidKeyedChain) as caught:
        parse(chain, "thing")
    assert caught.value.field == "thing"
    assert "`thing`" in str(caught.value)


@given(chains(), st.data())
def test_any_truncation_is_refused(chain, data):
    refuse(chain[: data.draw(st.integers(0, len(chain) - 1))] if len(chain) == 1 else _cut(chain, data))


def _cut(chain, data):
    cut = chain[: data.draw(st.integers(0, len(chain) - 1))]
    # the first part of a chain may be a proper chain of something smaller; of the whole it says it is not
    needed = {key for _, content in cut for key in parse_references(content)}
    assume(not cut or [item for item in cut if item[0] not in needed] != [cut[-1]])
    return cut


@given(chains(), st.data())
def test_an_object_taken_out_is_missed(chain, data):
    assume(len(chain) > 1)
    del chain[data.draw(st.integers(0, len(chain) - 2))]
    refuse(chain)


@given(chains(), st.data())
def test_any_order_with_a_dependency_after_its_user_is_refused(chain, data):
    shuffled = data.draw(st.permutations(chain))
    place = {key: n for n, (key, _) in enumerate(shuffled)}
    proper = all(place[name] < place[key] for key, content in shuffled for name in parse_references(content))
    if proper and shuffled[-1] == chain[-1]:
        assert parse(shuffled).root.key == chain[-1][0]
    else:
        refuse(shuffled)


@given(chains(), st.data())
def test_a_changed_key_or_reference_is_refused(chain, data):
    chain = copy.deepcopy(chain)
    entry = chain[data.draw(st.integers(0, len(chain) - 1))]
    match data.draw(st.integers(0, 6)):
        case 0:
            entry[0] = "Forged-" + entry[0].rpartition("-")[2]
        case 1:
            entry[0] = entry[0] + "!"
        case 2:
            entry[1]["extra"] = {":gufe-key:": "Thing-nowhere"}
        case 3:
            entry[1]["extra"] = {":gufe-key:": entry[0]}
        case 4:
            entry[1]["extra"] = {":gufe-key:": 5}
        case 5:
            del entry[1]["__module__"]
        case 6:
            chain.insert(0, [entry[0], {**entry[1], "other": "content"}])
    refuse(chain)


@given(chains())
def test_an_object_that_nothing_needs_is_refused(chain):
    refuse([pair("Stray", {}), *chain])


@given(chains(), st.data())
def test_an_object_repeated_with_its_content_is_one(chain, data):
    place = data.draw(st.integers(0, len(chain) - 1))
    again = [*chain[: place + 1], copy.deepcopy(chain[place]), *chain[place + 1 :]]
    assert parse(again) == parse(chain)


@pytest.mark.parametrize("document", [None, 5, "text", b"bytes", {}, [], [None], [[]], [["a"]], [["a", {}, 1]], ["ab"]])
def test_what_is_no_chain_at_all(document):
    refuse(document)


def test_a_cycle_is_called_one():
    chain = network_chain()
    chain[0][1]["back"] = reference(chain[-1])
    with pytest.raises(InvalidKeyedChain, match="in a cycle"):
        parse(chain)


def test_a_long_chain_needs_no_deep_stack():
    long = [pair("Thing", {"n": 0})]
    for n in range(1, 5000):
        long.append(pair("Thing", {"n": n, "before": reference(long[-1])}))
    assert len(parse(long).entries) == 5000


def test_what_json_text_cannot_hold_is_refused():
    deep = []
    for _ in range(5000):
        deep = [deep]
    for value in (deep, "half \ud800 a pair", {"\udfff": 1}):
        refuse([["Thing-1", {"__qualname__": "Thing", "__module__": "m", "value": value}]])


@pytest.mark.parametrize(
    "text",
    [
        '{":gufe-key:":"Thing-1"}',
        ',":gufe-key:":"Thing-1"',
        ":gufe-key:",
        '\\",":gufe-key:":"Thing-1',
        '\\\\{":gufe-key:":5',
        '"":gufe-key:":5',
    ],
)
def test_text_that_looks_like_a_reference_is_none(text):
    content = {
        "__qualname__": "Thing",
        "__module__": "m",
        "value": text,
        "list": [text, ":gufe-key:"],
        text + "!": text,
    }
    assert parse([["Thing-0", content]]).root.references == ()


@given(st.text(min_size=1, max_size=8).filter(lambda text: not set(text) & {chr(n) for n in range(0xD800, 0xE000)}))
def test_a_reference_may_be_any_text_and_is_found_beside_other_fields(name):
    content = {"__qualname__": "Thing", "__module__": "m", "at": {"before": 1, ":gufe-key:": name, "after": [name]}}
    with pytest.raises(InvalidKeyedChain) as caught:
        parse([["Thing-0", content]])
    assert f"refers to {name}, which is not in the chain" in str(caught.value)


def as_text(value):
    return json.dumps(value).encode()


@given(st.dictionaries(st.text(max_size=3), values, max_size=5), st.randoms())
def test_the_order_of_fields_is_no_content(content, random):
    items = list(content.items())
    random.shuffle(items)
    assert same_content(as_text(dict(items)), as_text(content))
    assert same_content(as_text({"deep": [dict(items)]}), as_text({"deep": [content]}))


@given(values, values)
def test_everything_else_is_content(one, two):
    same = json.dumps(one, sort_keys=True) == json.dumps(two, sort_keys=True)
    assert same_content(as_text(one), as_text(two)) is same


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        (b"1", b"1.0", False),
        (b"1.0", b"1.00", True),
        (b"NaN", b"NaN", True),
        (b"[NaN, 1]", b"[NaN,1]", True),
        (b"true", b"1", False),
        (b"0.0", b"-0.0", False),
        (rb'"\u00c5"', '"Å"'.encode(), True),
    ],
)
def test_spelling_is_no_content_and_types_are(one, two, same):
    assert same_content(one, two) is same


@given(chains())
def test_a_digest_is_of_the_text(chain):
    for entry in parse(chain).entries:
        assert entry.digest == hashlib.sha256(entry.text).digest()


def test_the_line_is_told_by_the_version_stamp():
    assert parse(network_chain(line="1")).gufe_line == "1"
    assert parse(network_chain(line="0")).gufe_line == "0"


def test_the_parts_of_a_network():
    chain = network_chain("whole", ["a", "b", "c"], [(0, 1), (1, 2), (2, 2)])
    content = read_network(parse(chain))
    assert (content.key, content.name) == (chain[-1][0], "whole")
    a, b, c = keys_of(chain, "ChemicalSystem")
    assert content.chemical_systems == (a, b, c)
    (protocol,) = keys_of(chain, "DummyProtocol")
    assert [(t.state_a, t.state_b, t.protocol, t.non_transformation, t.name) for t in content.transformations] == [
        (a, b, protocol, False, "a to b"),
        (b, c, protocol, False, "b to c"),
        (c, c, protocol, True, "c alone"),
    ]


def test_a_name_that_is_no_text_is_none():
    assert parse([pair("Thing", {"name": 5})]).root.name is None
    assert parse([pair("Thing", {"name": "five"})]).root.name == "five"


def _edge_without(field):
    def changed(chain):
        del chain[-2][1][field]

    return changed


def _edges_as(value):
    def changed(chain):
        chain[-1][1]["edges"] = value(chain)

    return changed


@pytest.mark.parametrize(
    "change",
    [
        _edge_without("stateA"),
        _edge_without("protocol"),
        _edges_as(lambda chain: None),
        _edges_as(lambda chain: {}),
        _edges_as(lambda chain: [chain[-2][0]]),
        _edges_as(lambda chain: [reference(chain[-2])] * 2),
        _edges_as(lambda chain: [reference(chain[-2]), 5]),
        lambda chain: chain[-1][1].pop("nodes"),
        lambda chain: chain[-2][1].update(stateB=chain[-2][1]["stateA"]),
        lambda chain: chain[-2][1].update(stateA={"__qualname__": "ChemicalSystem"}),
    ],
)
def test_a_network_that_lacks_a_part(change):
    chain = network_chain(systems=["a", "b"], edges=[(0, 1)])
    change(chain)
    with pytest.raises(InvalidKeyedChain) as caught:
        read_network(parse(chain, "thing"), "thing")
    assert caught.value.field == "thing"


def test_another_object_is_no_network():
    with pytest.raises(InvalidKeyedChain, match="is the chain of a Thing, not of an AlchemicalNetwork"):
        read_network(parse([pair("Thing", {})]))


@pytest.mark.parametrize(
    ("value", "key"),
    [({":gufe-key:": "a-b"}, "a-b"), ({":gufe-key:": 5}, None), ({}, None), ("a-b", None), (None, None)],
)
def test_what_is_a_reference(value, key):
    assert referenced_key(value) == key
