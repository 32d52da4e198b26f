"""The reference data that some tests read: a folder `shared` beside the checkout, or where FRETSAW_SHARED points.

Tests that need it are skipped where it is absent, so that a plain clone still passes.
"""

import os
from pathlib import Path

import pytest

_BESIDE_CHECKOUT = Path(__file__).resolve().parents[2].parent / "shared"


def root() -> Path:
    """The folder with the reference data; it may not exist."""
    return Path(os.environ.get("FRETSAW_SHARED") or _BESIDE_CHECKOUT)


def shared(*parts: str) -> Path:
    """A file or folder of the reference data; skips the test (or, at import, the module) when it is absent."""
    path = root().joinpath(*parts)
    if not path.exists():
        pytest.skip(
            f"needs reference data: {'/'.join(parts) or 'shared'} is not in {root().name!r} beside the checkout "
            "(set FRETSAW_SHARED to the folder that has it)",
            allow_module_level=True,
        )
    return path
