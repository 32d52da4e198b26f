"""GPU metrics are switched off

`dcgmExporter.enabled` is false in the GPU Operator's values.

Why: Nobody sees whether GPUs work or stand idle, nor their errors: idle GPUs are the largest part of most bills.

Example:
    driver: {enabled: false}
    dcgmExporter: {enabled: false}

Fix: Switch it on, or allow this where another exporter runs.

Source: gpu-operator v26 chart values.
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found, Set
from fretsaw.lint.given import Input
from fretsaw.lint.rule import rule
from fretsaw.lint.views import Values


@rule("OBS110", "warning", on=Values, fixes=True)
def dcgm_switched_off(values: Values, given: Input) -> Iterator[Found]:
    """Operators without the exporter."""
    if values.enabled("dcgmExporter") is False:
        path = f"{values.prefix}dcgmExporter.enabled"
        message = "no metrics of GPUs: nobody sees idle or broken ones"
        yield Found(path, message, fix="write true", edits=(Set(path, True),))
