"""How often EC2 takes spot instances back, by type, as the Spot Instance Advisor tells it in bands.

The shipped snapshot of EC2 carries the bands of 2025-06-28: AWS's public feed as github.com/alexei-led/spotinfo copies
it (Apache-2.0), which may be redistributed with its notice. Another table can be read from a file of these columns.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
from collections.abc import Sequence
from pathlib import Path

from fretsaw.errors import UserError
from fretsaw.providers.aws.snapshot import load_region
from fretsaw.sim.cloud.settings import BAND_SHARES

HOURS_A_MONTH = 730
_COLUMNS = ("region", "instance_type", "interruption_range_index")


def hazard(band: int, shares: Sequence[float] = BAND_SHARES) -> float:
    """Reclaims an hour of one instance, such that the band's share is interrupted within a month."""
    return -math.log1p(-shares[band]) / HOURS_A_MONTH


def shipped_bands(region: str) -> dict[str, int]:
    """Band by type from the shipped snapshot; types without a known spot pool are left out.

    Types without devices have their family's median. Raises UserError for a region that the snapshot lacks.
    """
    data = load_region(region)
    return {row.name: saving.band for row in data.rows if (saving := data.saving(row)) is not None}


def read_bands(path: str | Path, region: str, snapshot_date: str = "") -> dict[str, int]:
    """Band by type from a CSV file, plain or gzipped, with the columns region, instance_type and
    interruption_range_index; rows of another `snapshot_date` or operating system are left out.

    Raises UserError for a file without them, or without the region.
    """
    found = {}
    for row in _rows(path):
        about = (row["region"], row.get("os") or "Linux", row.get("snapshot_date") or "")
        if about[0] == region and about[1] == "Linux" and snapshot_date in ("", about[2]):
            found[row["instance_type"]] = _band(path, row["interruption_range_index"])
    if not found:
        raise UserError(str(path), "has no row for the region", region)
    return found


def _band(path: str | Path, text: str) -> int:
    if text not in ("0", "1", "2", "3", "4"):
        raise UserError(str(path), "interruption_range_index is no band", text, "0 to 4")
    return int(text)


def _rows(path: str | Path) -> list[dict[str, str]]:
    try:
        content = Path(path).read_bytes()
        text = (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content).decode()
    except (OSError, UnicodeDecodeError, EOFError) as error:
        raise UserError(str(path), "cannot be read", str(error)) from error
    reader = csv.DictReader(io.StringIO(text))
    missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        raise UserError(str(path), "lacks a column", ", ".join(missing))
    return list(reader)
