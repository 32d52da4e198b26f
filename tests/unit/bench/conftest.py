"""The benchmark lies beside `src`, not in it: tests find it by the checkout's root."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
