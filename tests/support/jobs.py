"""Work for other processes, which import it by its name; a test's own module has none there."""

from __future__ import annotations

import os
import time
from typing import NoReturn

from fretsaw.errors import UserError


def wrong_or_slow(task: int) -> int:
    """0 is wrong at once, everything else takes a minute."""
    if task == 0:
        raise UserError("tiny.yaml", "is wrong", "so", "like this")
    time.sleep(60)
    return task


def quick_or_slow(task: int) -> int:
    """0 is done at once, everything else takes a minute."""
    time.sleep(60 * (task > 0))
    return task


def dies(_task: int) -> NoReturn:
    """As a process that the kernel kills."""
    os._exit(1)
