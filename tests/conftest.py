"""What every test has."""

import gc
import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

LONG_FORMS = ("ALCHEMISCALE_TEST_HISTORIES", "ALCHEMISCALE_HOST_EXAMPLES")
"""Of `make soak`. Everywhere else hypothesis has the same examples always: what is found by chance should not refuse
somebody else's change."""

# a busy machine is no failure
settings.register_profile(
    "tests",
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=not any(name in os.environ for name in LONG_FORMS),
    print_blob=True,
)
settings.load_profile("tests")


@pytest.fixture(scope="session", autouse=True)
def _logs_stay_as_they_are() -> Iterator[None]:
    """A command that runs in this process must not send later tests' logs where its own went: to a closed file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("structlog.configure", lambda **_: None)
        yield


def pytest_collection_finish() -> None:
    """Have collections of garbage, for which tests ask, look at what is new: not at a million objects of modules."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With ``--dist loadfile``, the files that share a stack go to one process, which starts it once."""
    from xdist.scheduler import LoadFileScheduling

    if config.getoption("dist") != "loadfile":
        return None

    class ByStack(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file: str = super()._split_scope(nodeid)
            return "tests/acceptance" if file.startswith("tests/acceptance/") else file

    return ByStack(config, log)
