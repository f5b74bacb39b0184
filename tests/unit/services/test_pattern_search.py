"""Users' regular expressions: what is found, and that no pattern keeps anybody waiting."""

import re
import time
from collections.abc import Sequence

import pytest

from alchemiscale_prefect.domain.errors import Unavailable
from alchemiscale_prefect.services import pattern_search
from alchemiscale_prefect.services.pattern_search import Found, Matches, search

CUDA = 'Traceback (most recent call last):\n  File "unit.py", line 7, in _execute\nRuntimeError: CUDA error 700\n'
ODD = "\0 \ud800 \x1c\u2028 naïve\r\n"


@pytest.mark.filterwarnings("ignore:Possible nested set:FutureWarning")
def test_patterns_are_searched_for_as_python_does() -> None:
    patterns = [
        r"CUDA error \d+$",
        r"\ARuntimeError",
        "(?m)^RuntimeError",
        "(?i)cuda ERROR",
        r"(?s)Traceback.*CUDA",
        r"Traceback.*CUDA",
        r"(?<!No )CUDA",
        r"line {7}",
        r"[[:alpha:]]",
        r"(?P<kind>\w+Error): (?!OOM)",
        r"\x00 .",
        "naïve",
    ]
    texts = [CUDA, "", ODD, "CUDA error 700"]
    expected = [frozenset(n for n, text in enumerate(texts) if re.search(pattern, text)) for pattern in patterns]
    assert [found.texts for found in search(patterns, texts)] == expected
    assert sum(map(len, expected)) > 10


def test_nothing_is_found_of_nothing_and_in_nothing() -> None:
    assert search([], ["a"]) == []
    assert search(["a"], []) == [Found()]


def test_slow_patterns_and_wrong_ones_are_told_from_the_others_between_them() -> None:
    patterns = ["a", "(a+)+b", "(", "b$", "(a|a?)+b", "a{99999999999999999999}", "!$"]
    begun = time.monotonic()
    found = search(patterns, ["a" * 5000 + "!", "b"])
    # two of them took their time, and no more
    assert time.monotonic() - begun < 60
    assert [item.too_slow for item in found] == [False, True, False, False, True, False, False]
    assert [item.error is None for item in found] == [True, True, False, True, True, False, True]
    assert [sorted(item.texts) for item in found] == [[0], [], [], [1], [], [], [0]]


def test_a_pattern_that_takes_long_to_be_read_is_given_up() -> None:
    # every letter of the alphabet without regard to case, over and over
    (found,) = search(["(?i)" + r"[\x00-\uffff]" * 500], [""])
    assert found == Found(too_slow=True)


def test_all_patterns_together_have_a_limit_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pattern_search, "SECONDS", 0.1)
    monkeypatch.setattr(pattern_search, "BUDGET", 0.5)
    begun = time.monotonic()
    found = search(["a", *["(a+)+b"] * 50, "a"], ["a" * 5000])
    assert time.monotonic() - begun < 60
    assert [item.too_slow for item in found] == [False, *[True] * 51]


def test_a_machine_that_is_too_busy_is_no_fault_of_the_pattern(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pattern_search, "_PATIENCE_SECONDS", -1000.0)
    with pytest.raises(Unavailable):
        search(["a"], ["a"])


def test_each_pattern_is_looked_for_in_each_text_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[list[str], list[str]]] = []

    def counted(patterns: Sequence[str], texts: Sequence[str]) -> list[Found]:
        if patterns:
            asked.append((list(patterns), list(texts)))
        return search(patterns, texts)

    monkeypatch.setattr(pattern_search, "search", counted)
    matches = Matches()
    matches.look_for(["a", "b", "a"], ["ab", "b"])
    matches.look_for(["b"], ["ab"])
    assert asked == [(["a", "b"], ["ab", "b"])]
    matches.look_for(["b", "(", "(a+)+c"], ["ab", "a" * 5000])
    assert asked[1:] == [(["b", "(", "(a+)+c"], ["a" * 5000, "ab"])]
    assert matches.found("a", ["b", "ab"])
    assert not matches.found("a", ["b"])
    assert not matches.found("b", ["a" * 5000])
    assert not matches.found("b", [])
    assert not matches.found("(a+)+c", ["a" * 5000])
    assert set(matches.errors) == {"("}
    assert matches.too_slow == {"(a+)+c"}
