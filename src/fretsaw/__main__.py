"""`python -m fretsaw` is the command `fretsaw`."""

from fretsaw.cli.main import main

main()
