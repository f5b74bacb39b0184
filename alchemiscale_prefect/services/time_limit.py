"""How long a Strategy may take: one that never returns would keep all others from being performed."""

import contextvars
import sys
import threading
import traceback

from alchemiscale_prefect.domain.iterations import Material, Propose, Proposed


class StrategyTimeout(TimeoutError):
    """A Strategy took longer than it may."""


def limited(propose: Propose, seconds: float) -> Propose:
    """Have a Strategy fail that takes longer than this.

    A thread cannot be ended from outside: it goes on in vain until its process ends, which does not wait for it.
    Prefect's time-outs would not do: they raise wherever the thread happens to be, also amid a transaction.

    Parameters
    ----------
    propose
        Performs the Strategy.
    seconds
        From when it is asked to when it has answered.

    Returns
    -------
    callable
        As `propose`; raises `StrategyTimeout`, with a note where the Strategy was at that time.
    """

    def within(material: Material) -> Proposed:
        answer: list[Proposed] = []
        failure: list[BaseException] = []

        def ask() -> None:
            try:
                answer.append(propose(material))
            except BaseException as error:  # noqa: BLE001  raised again in the thread that waits
                failure.append(error)

        thread = threading.Thread(target=contextvars.copy_context().run, args=(ask,), name="strategy", daemon=True)
        thread.start()
        thread.join(seconds)
        if failure:
            raise failure[0]
        if answer:
            return answer[0]
        raise _timeout(thread, seconds)

    return within


def _timeout(thread: threading.Thread, seconds: float) -> StrategyTimeout:
    error = StrategyTimeout(
        f"the Strategy had not answered after {seconds:g} s; "
        "an operator can give it longer: ALCHEMISCALE_STRATEGY_TIMEOUT_SECONDS"
    )
    frame = sys._current_frames().get(thread.ident or 0)
    if frame is not None:
        error.add_note("It was here:\n" + "".join(traceback.format_stack(frame)))
    return error
