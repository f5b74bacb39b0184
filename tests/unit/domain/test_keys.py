"""ScopedKeys: their rules, with the holes of the reference closed."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alchemiscale_prefect.domain.errors import InvalidInput, InvalidScope, InvalidScopedKey
from alchemiscale_prefect.domain.keys import InvalidGufeKey, ScopedKey, check_gufe_key
from alchemiscale_prefect.domain.scopes import Scope

STRING = "Transformation-0123abcd-org-campaign-project"
names = st.from_regex(r"[a-zA-Z][a-zA-Z0-9_]{0,5}", fullmatch=True)
gufe_keys = st.from_regex(r"[A-Za-z0-9_]{1,8}-[A-Za-z0-9_]{1,8}", fullmatch=True)
keys = st.builds(ScopedKey, gufe_keys, names, names, names)


def test_the_parts_of_a_key():
    key = ScopedKey.from_str(STRING)
    assert key == ScopedKey("Transformation-0123abcd", "org", "campaign", "project")
    assert key.gufe_key == "Transformation-0123abcd"
    assert key.qualname == "Transformation"
    assert key.scope == Scope("org", "campaign", "project")
    assert str(key) == STRING
    assert repr(key) == f"<ScopedKey('{STRING}')>"
    assert ScopedKey.from_str(key) is key


@given(keys)
def test_any_key_survives_every_form(key):
    assert ScopedKey.from_str(str(key)) == key
    assert ScopedKey.from_dict(key.to_dict()) == key
    assert ScopedKey.from_dict(str(key)) == key
    assert ScopedKey.of(key.gufe_key, key.scope) == key
    assert pickle.loads(pickle.dumps(key)) == key
    assert len({key, ScopedKey.from_str(str(key))}) == 1


@given(keys, keys)
def test_order_is_that_of_strings(one, two):
    assert (one < two) is (str(one) < str(two))


def test_a_key_is_not_comparable_with_other_things():
    with pytest.raises(TypeError):
        _ = ScopedKey.from_str(STRING) < STRING


@pytest.mark.parametrize("string", ["", "lol", "a-b", "a-b-c-d", "a-b-c-d-e-f", None, 5, b"a-b-c-d-e"])
def test_strings_without_five_parts(string):
    with pytest.raises(InvalidScopedKey, match="input does not appear to be a `ScopedKey`"):
        ScopedKey.from_str(string)


@pytest.mark.parametrize(
    ("string", "error", "field"),
    [
        ("-b-org-campaign-project", InvalidGufeKey, "gufe_key"),
        ("a--org-campaign-project", InvalidGufeKey, "gufe_key"),
        ("a b-c-org-campaign-project", InvalidGufeKey, "gufe_key"),
        ("é-c-org-campaign-project", InvalidGufeKey, "gufe_key"),
        ("a-c\n-org-campaign-project", InvalidGufeKey, "gufe_key"),
        ("a-٣-org-campaign-project", InvalidGufeKey, "gufe_key"),
        # alchemiscale takes these
        ("a-b-*-campaign-project", InvalidScope, "org"),
        ("a-b-org-a b-project", InvalidScope, "campaign"),
        ("a-b-org-campaign-", InvalidScope, "project"),
        ("a-b-org-campaign-*", InvalidScope, "project"),
    ],
)
def test_parts_that_break_a_rule(string, error, field):
    with pytest.raises(error) as caught:
        ScopedKey.from_str(string)
    assert caught.value.field == field
    assert isinstance(caught.value, InvalidInput)


@pytest.mark.parametrize("mapping", [{}, {"gufe_key": "a-b"}, None, 5, [], {"gufe_key": "a-b", "org": "o"}])
def test_mappings_that_lack_something(mapping):
    with pytest.raises(InvalidScopedKey, match="does not appear to be"):
        ScopedKey.from_dict(mapping)


@pytest.mark.parametrize("scope", [Scope(), Scope("a"), Scope("a", "b")])
def test_a_key_lives_in_a_specific_scope(scope):
    with pytest.raises(InvalidScopedKey, match="it cannot contain wildcards") as caught:
        ScopedKey.of("a-b", scope)
    assert caught.value.field == "scope"


@pytest.mark.parametrize("key", [None, 5, b"a-b", "a-b-c", "a", "-", "A-\u0041\u030a"])
def test_what_is_no_gufe_key(key):
    with pytest.raises(InvalidGufeKey):
        check_gufe_key(key)


def test_gufes_own_string_class_becomes_a_plain_string():
    class GufeKey(str):
        pass

    assert type(ScopedKey(GufeKey("a-b"), "o", "c", "p").gufe_key) is str


@pytest.mark.parametrize("part", [[], {}, None, 5, "*"])
def test_a_scope_that_is_no_name(part):
    with pytest.raises(InvalidScope) as caught:
        ScopedKey("Task-1", "org", part, "project")
    assert caught.value.field == "campaign"
