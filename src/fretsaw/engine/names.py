"""Names for new objects: as random as Kubernetes' own to look at, and the same in every run."""

from __future__ import annotations

import hashlib
from collections.abc import Container

ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""Source: Kubernetes apimachinery, util/rand."""
LENGTH = 5


def suffix(*seed: str) -> str:
    """Five characters that go by what they are for."""
    number = int.from_bytes(hashlib.blake2b("\x00".join(seed).encode(), digest_size=8).digest(), "big")
    letters = []
    for _ in range(LENGTH):
        number, place = divmod(number, len(ALPHABET))
        letters.append(ALPHABET[place])
    return "".join(letters)


def unused(base: str, taken: Container[str], *seed: str) -> str:
    """`base-xxxxx` that nobody has yet."""
    attempt = 0
    while (name := f"{base}-{suffix(base, *seed, str(attempt))}") in taken:
        attempt += 1
    return name
