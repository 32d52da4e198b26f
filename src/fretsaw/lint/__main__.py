"""`python -m fretsaw.lint docs/rules` writes the pages of the rules."""

import sys
from pathlib import Path

from fretsaw.lint.reference import write

if len(sys.argv) != 2:
    sys.exit("usage: python -m fretsaw.lint FOLDER")
print(f"{write(Path(sys.argv[1]))} pages")
