"""Which of two resource versions is the newer one.

Source: KEP-5504, resource versions are whole numbers that grow, and may be compared within a kind.
"""

from __future__ import annotations


def older(version: str, than: str) -> bool:
    """Whether a version is older than another. Versions that are no numbers are not older than anything."""
    return version.isdecimal() and than.isdecimal() and int(version) < int(than)
