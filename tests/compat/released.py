"""The released client, where it is installed; where it is not, a module that imports this one is skipped.

It needs ``alchemiscale`` (PyPI, 0.8.0) with what its client imports, and gufe >= 1.12; docs/reference/compatibility.md
says how to make such an environment.
"""

from collections.abc import Callable
from typing import Any

import pytest

from alchemiscale_prefect.chemistry.versions import GUFE_LINE

if GUFE_LINE == "0":
    pytest.skip("the released client needs gufe >= 1.12; this is gufe 0.4", allow_module_level=True)
alchemiscale = pytest.importorskip("alchemiscale", reason="the released client (alchemiscale 0.8.0) is not installed")

Client = Any  # alchemiscale.AlchemiscaleClient
Key = Any  # alchemiscale.ScopedKey
Submit = Callable[..., tuple[Key, Key, Key]]
Work = Callable[[], int]

MISSING = "00000000000000000000000000000000-test_org-test_campaign-test_project"

LEAVES_OPEN = [
    # what the client leaves open at the end of a test is its own: event loops, sessions, the database of its cache
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    # how it uses httpx
    pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload raw bytes:DeprecationWarning"),
]


def scope_of(text: object) -> Any:
    """The client's own Scope."""
    return alchemiscale.Scope.from_str(str(text))


def key_of(text: object) -> Any:
    """The client's own ScopedKey."""
    return alchemiscale.ScopedKey.from_str(str(text))


def refused(text: str) -> Any:
    """Expects the client's error, with this at the start of its message."""
    return pytest.raises(alchemiscale.interface.client.AlchemiscaleClientError, match="^" + text)
