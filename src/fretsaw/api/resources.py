"""Kubernetes quantities and durations: the one place where their texts become numbers.

Everything else counts in integers: millicores for cpu, bytes for memory and storage, whole devices for the rest.
Source: kubernetes apimachinery, resource.Quantity; Go time.ParseDuration.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

Quantity = str | int | float
"""As people write it: a text, or a bare YAML number."""
Quantities = dict[str, Quantity]

NANO = 10**9
MAX = 2**63 - 1
"""Kubernetes caps magnitudes here; larger texts mean this number."""
_LONGEST = 256

_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_QUANTITY = re.compile(r"([+-]?)(\d+\.?\d*|\.\d+)([numkMGTPE]|[KMGTPE]i|[eE][+-]?\d+)?", re.ASCII)
_SLIPS = re.compile(r"([+-]?[\d.]+)\s*(kb|mb|gb|tb|kib|mib|gib|tib|k|m|g|t|ki|mi|gi|ti|b|bytes|cores?|cpus?)", re.I)
_SLIP_SUFFIX = {"k": "Ki", "m": "Mi", "g": "Gi", "t": "Ti"}

_DURATION_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_DURATION_NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": NANO,
    "m": 60 * NANO,
    "h": 3600 * NANO,
}


class BadQuantity(ValueError):  # noqa: N818 (its readers know it by this name)
    """A text that is no quantity, with what would be right."""

    def __init__(self, seen: object, right: str) -> None:
        super().__init__(seen, right)
        self.seen = seen
        self.right = right

    def __str__(self) -> str:
        return f"not a quantity: {self.seen!r} ({self.right})"


class BadDuration(ValueError):  # noqa: N818 (as above)
    """A text that is no duration, with what would be right."""

    def __init__(self, seen: object, right: str) -> None:
        super().__init__(seen, right)
        self.seen = seen
        self.right = right

    def __str__(self) -> str:
        return f"not a duration: {self.seen!r} ({self.right})"


def _suggestion(text: str) -> str:
    """What the writer of a wrong quantity may have meant."""
    if slip := _SLIPS.fullmatch(text):
        number, unit = slip.group(1), slip.group(2).lower()
        if unit[0] in _SLIP_SUFFIX:
            return f'did you mean "{number}{_SLIP_SUFFIX[unit[0]]}"? suffixes are case-sensitive: k M G, Ki Mi Gi'
        return f'did you mean "{number}"?'
    if "," in text:
        return "write the decimal point as . and no thousands separator"
    return "a number with an optional suffix: n u m k M G T P E, Ki Mi Gi Ti Pi Ei or an exponent such as 1e3"


@lru_cache(maxsize=65536, typed=True)
def nanos(quantity: Quantity) -> int:
    """The exact value in billionths, finer digits rounded away from zero, capped as in Kubernetes.

    Raises BadQuantity.
    """
    if isinstance(quantity, bool) or not isinstance(quantity, (str, int, float)):
        raise BadQuantity(quantity, "a number or a text such as 500m or 4Gi")
    text = quantity.strip() if isinstance(quantity, str) else _number_text(quantity)
    match = _QUANTITY.fullmatch(text)
    if match is None or len(text) > _LONGEST:
        raise BadQuantity(quantity, _suggestion(text[:_LONGEST]))
    sign, number, suffix = match.groups()
    magnitude = _scale(number, suffix or "")
    return -magnitude if sign == "-" else magnitude


def _number_text(number: int | float) -> str:
    if isinstance(number, int) and abs(number) > MAX:
        return str(MAX if number > 0 else -MAX)
    return repr(number)


def _scale(number: str, suffix: str) -> int:
    """|number × suffix| in billionths, rounded up, at most MAX."""
    whole, _, fraction = number.partition(".")
    mantissa = int(whole + fraction)
    if mantissa == 0:
        return 0
    shift = 9 - len(fraction)
    if suffix in _BINARY:
        mantissa <<= _BINARY[suffix]
    elif suffix in _DECIMAL:
        shift += _DECIMAL[suffix]
    else:
        # Beyond ±400 the result is the cap or one nano whatever the mantissa of at most 256 digits is.
        shift += max(-400, min(400, int(suffix[1:])))
    power: int = 10 ** abs(shift)
    amount = mantissa * power if shift >= 0 else -(-mantissa // power)
    return min(amount, MAX * NANO)


def parse(quantity: Quantity) -> Fraction:
    """The exact value of a quantity. Raises BadQuantity."""
    return Fraction(nanos(quantity), NANO)


@lru_cache(maxsize=65536, typed=True)
def units(resource: str, quantity: Quantity, *, up: bool = True) -> int:
    """Millicores for cpu, else whole units (bytes, devices).

    up: round up (what is asked for, as Kubernetes does) or down (what a node can give). Raises BadQuantity.
    """
    step = NANO // 1000 if resource == "cpu" else NANO
    amount = nanos(quantity)
    return -(-amount // step) if up else amount // step


def is_bytes(resource: str) -> bool:
    """Whether a resource is counted in bytes, and so printed with Ki, Mi, Gi."""
    name = resource.removeprefix("requests.").removeprefix("limits.")
    return name in ("memory", "ephemeral-storage", "storage") or name.startswith("hugepages-")


def render(resource: str, amount: int) -> str:
    """The canonical text of an amount in `units`: `3920m`, `14481Mi`, `8`."""
    if resource == "cpu":
        return f"{amount}m" if amount % 1000 else _shortest(amount // 1000, 1000, ("", "k", "M", "G", "T", "P", "E"))
    if is_bytes(resource):
        return _shortest(amount, 1024, ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"))
    return _shortest(amount, 1000, ("", "k", "M", "G", "T", "P", "E"))


def _shortest(amount: int, base: int, suffixes: tuple[str, ...]) -> str:
    """The largest suffix that loses nothing."""
    power = 0
    while amount and amount % base == 0 and power + 1 < len(suffixes):
        amount //= base
        power += 1
    return f"{amount}{suffixes[power]}"


@lru_cache(maxsize=4096)
def duration_ns(text: str) -> int:
    """A Go duration such as `1h30m` or `1.5s` in nanoseconds. Raises BadDuration, also beyond 2562047h."""
    right = "numbers with the units h, m, s or ms, such as 1h30m"
    sign = -1 if text.startswith("-") else 1
    body = text[1:] if text[:1] in ("+", "-") else text
    if body == "0":
        return 0
    total, end = Fraction(0), 0
    for match in _DURATION_PART.finditer(body):
        if match.start() != end:
            raise BadDuration(text, right)
        total += Fraction(match.group(1).rstrip(".") or "0") * _DURATION_NS[match.group(2)]
        end = match.end()
    if end == 0 or end != len(body):
        raise BadDuration(text, f'did you mean "{body}s"? {right}' if body.isdigit() else right)
    if total > MAX:
        raise BadDuration(text, "at most 2562047h")
    return sign * int(total)


def duration_s(text: str) -> float | None:
    """Seconds of a duration; None for `Never`. Raises BadDuration."""
    if text == "Never":
        return None
    return duration_ns(text) / NANO
