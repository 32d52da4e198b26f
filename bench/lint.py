"""`fretsaw lint` on 1,000 files: python -m bench.lint [COUNT]

The files are the GPU platform example's, copied under other names, so that relations between objects (which pool takes
which pod, which budget selects which server) are looked at in full. Prints how long each part takes.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
from pathlib import Path

from fretsaw.api.manifest import load
from fretsaw.lint.rule import all_rules
from fretsaw.lint.run import lint

EXAMPLE = Path(__file__).parents[1] / "examples" / "gpu-platform"
_NAMES = re.compile(r"(?m)^(  name: |  namespace: )(\S+)$")


def copies(folder: Path, count: int) -> int:
    """Write so many files: each copy of the platform has names and namespaces of its own."""
    sources = sorted(EXAMPLE.glob("*.yaml"))
    for number in range(count):
        source = sources[number % len(sources)]
        part = number // len(sources)
        text = _NAMES.sub(lambda match, part=part: f"{match[1]}{match[2]}-{part}", source.read_text())  # type: ignore[misc]
        (folder / f"{number:04}-{source.name}").write_text(text)
    return count


def main() -> None:
    """Measure reading, rules, and both."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory() as folder:
        files = copies(Path(folder), count)
        begin = time.perf_counter()
        manifests = load([folder])
        read = time.perf_counter()
        all_rules()
        loaded = time.perf_counter()
        report = lint(manifests)
        end = time.perf_counter()
    print(f"{files} files, {len(manifests.documents)} objects, {len(report.findings)} findings")
    print(
        f"read {read - begin:.2f} s, load rules {loaded - read:.2f} s, judge {end - loaded:.2f} s; {end - begin:.2f} s"
    )


if __name__ == "__main__":
    main()
