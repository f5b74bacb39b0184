"""Keys of identities: kept as Argon2id hashes, and looked for at a cost that tells nothing."""

from collections.abc import Sequence
from functools import cache
from threading import BoundedSemaphore

from pwdlib import PasswordHash

from alchemiscale_prefect.domain.identities import MAXIMUM_KEY, MAXIMUM_KEYS, check_key

# Argon2 takes 64 MiB for each key it looks at
_HASHING = BoundedSemaphore(4)


def hashed(key: str) -> str:
    """The hash to keep of a key; `InvalidInput` if it is too short or too long."""
    check_key(key)
    with _HASHING:
        return _hasher().hash(key)


def find(key: str, hashes: Sequence[str]) -> int | None:
    """Which of an identity's hashes a key belongs to.

    A key that belongs to none costs the hashing of `MAXIMUM_KEYS` keys, however many `hashes` there are, none for an
    unknown identity included; only who has a right key is answered sooner.
    """
    # made before the clock of any case runs
    unusable = _unusable_hash()
    for number, candidate in enumerate([*hashes, *[unusable] * (MAXIMUM_KEYS - len(hashes))]):
        if _verify(key, candidate) and number < len(hashes):
            return number
    return None


def _verify(key: str, key_hash: str) -> bool:
    with _HASHING:
        return _hasher().verify(key[: MAXIMUM_KEY + 1], key_hash) and len(key) <= MAXIMUM_KEY


@cache
def _hasher() -> PasswordHash:
    return PasswordHash.recommended()


@cache
def _unusable_hash() -> str:
    return _hasher().hash("no identity has this key, for it is longer than a key can be".ljust(MAXIMUM_KEY + 1))
