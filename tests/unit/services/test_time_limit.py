"""Strategies that take too long."""

import threading
from collections.abc import Iterator

import pytest

from alchemiscale_prefect.domain.iterations import Document, Material, Proposed, StrategyFailure
from alchemiscale_prefect.services.time_limit import StrategyTimeout, limited

MATERIAL = Material(Document(b"", None), Document(b"", None), {}, lambda: ())


@pytest.fixture
def released() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def test_a_strategy_that_does_not_answer_fails_and_says_where_it_was(released: threading.Event) -> None:
    def never_answers(_: Material) -> Proposed:
        released.wait()
        return Proposed({})

    with pytest.raises(StrategyTimeout, match=r"after 0\.2 s") as raised:
        limited(never_answers, 0.2)(MATERIAL)
    assert "in never_answers" in StrategyFailure.of(raised.value).traceback


def test_within_its_time_a_strategy_answers_and_fails_as_it_does() -> None:
    assert limited(lambda _: Proposed({"a": 1.0}), 60.0)(MATERIAL) == Proposed({"a": 1.0})

    def fails(_: Material) -> Proposed:
        raise ZeroDivisionError("no weights")

    with pytest.raises(ZeroDivisionError) as raised:
        limited(fails, 60.0)(MATERIAL)
    assert "in fails" in StrategyFailure.of(raised.value).traceback
