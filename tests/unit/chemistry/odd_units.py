"""Units that do what units of real Protocols sometimes do."""

import time
from pathlib import Path
from typing import Any

from alchemiscale_prefect.chemistry.base import ProtocolUnit
from tests.protocols import FanOutProtocol


class Interrupted(BaseException):
    """Stands for KeyboardInterrupt and Prefect's TerminationSignal."""


class InterruptedUnit(ProtocolUnit):
    @staticmethod
    def _execute(ctx: Any, **inputs: Any) -> dict[str, Any]:
        raise Interrupted


class EchoUnit(ProtocolUnit):
    """Gives back what it got."""

    @staticmethod
    def _execute(ctx: Any, **inputs: Any) -> dict[str, Any]:
        return {"got": inputs}


class UnwritableUnit(ProtocolUnit):
    @staticmethod
    def _execute(ctx: Any, **inputs: Any) -> dict[str, Any]:
        return {"lock": object()}


class UnwritableFailureUnit(ProtocolUnit):
    @staticmethod
    def _execute(ctx: Any, **inputs: Any) -> dict[str, Any]:
        raise LookupError("no platform", object)


class ThreadedUnit(ProtocolUnit):
    @staticmethod
    def _execute(ctx: Any, *, index: int, **inputs: Any) -> dict[str, Any]:
        path = Path(ctx.scratch) / "index.txt"
        path.write_text(str(index))
        time.sleep(0.01)
        return {"index": int(path.read_text())}


class OddProtocol(FanOutProtocol):
    """A ProtocolDAG of the units that a test gives it."""

    given: list[ProtocolUnit] = []  # noqa: RUF012 - set by the tests

    def _create(self, stateA: Any, stateB: Any, mapping: Any = None, extends: Any = None) -> list[ProtocolUnit]:
        return self.given
