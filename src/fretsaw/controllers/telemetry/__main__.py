"""`python -m fretsaw.controllers.telemetry` prints the documentation of all metrics."""

import sys

from fretsaw.controllers.telemetry.reference import page

sys.stdout.write(page())
