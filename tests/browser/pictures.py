"""Pictures of a page for the documentation: `python tests/browser/pictures.py PAGE.html FOLDER`.

Writes FOLDER/report-light.png (1440×900) and FOLDER/report-phone-dark.png (390×844).
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.browser import Browser, missing


def main(page: Path, folder: Path) -> None:
    """Take both pictures."""
    if why := missing():
        sys.exit(f"no pictures: {why}")
    with Browser(1440, 900) as desktop:
        desktop.devtools(
            "Emulation.setDeviceMetricsOverride", width=1440, height=900, deviceScaleFactor=1, mobile=False
        )
        desktop.open(page)
        desktop.picture(folder / "report-light.png")
    with Browser(390, 844, phone=True, dark=True) as phone:
        phone.open(page)
        phone.run("document.querySelector('#course').scrollIntoView({behavior: 'instant'})")
        phone.picture(folder / "report-phone-dark.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]))
