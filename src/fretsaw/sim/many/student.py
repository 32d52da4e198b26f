"""Student's t distribution for whole degrees of freedom, in closed form: no table, no series that is cut off.

Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4.
"""

from __future__ import annotations

import math
from functools import lru_cache


def within(angle: float, freedom: int) -> float:
    """The chance of |T| <= t, where angle = arctan(t / sqrt(freedom)), 0 to pi/2."""
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = freedom % 2
    total, term = 0.0, cosine if odd else 1.0
    for k in range(2 + odd, freedom + 1, 2):
        total += term
        term *= cosine * cosine * (k - 1) / k
    return (angle + sine * total) * 2 / math.pi if odd else sine * total


@lru_cache(maxsize=4096)
def quantile(share: float, freedom: int) -> float:
    """The t below which `share` of the distribution lies. share: 0 to 1, both left out. freedom: 1 or more.

    Found by halving the interval of the angle until no float is left between its ends. Raises ValueError beyond.
    """
    if not 0 < share < 1 or freedom < 1:
        raise ValueError(f"no quantile for a share of {share} and {freedom} degrees of freedom")
    if share < 0.5:
        return -quantile(1 - share, freedom)
    wanted, low, high = 2 * share - 1, 0.0, math.pi / 2
    while low < (middle := (low + high) / 2) < high:
        if within(middle, freedom) < wanted:
            low = middle
        else:
            high = middle
    return math.tan(high) * math.sqrt(freedom) if wanted else 0.0
