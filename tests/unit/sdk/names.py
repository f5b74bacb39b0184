"""ScopedKeys that the tests of the client name."""

from alchemiscale_prefect import Scope, ScopedKey

SCOPE = Scope("my_org", "my_campaign", "my_project")


def key(name: str) -> ScopedKey:
    """In `SCOPE`."""
    return ScopedKey.of(name, SCOPE)


NETWORK, EDGE, SYSTEM = key("AlchemicalNetwork-1a"), key("Transformation-2b"), key("ChemicalSystem-3c")
A, B, C = (key(f"Task-{n:032x}") for n in range(3))
