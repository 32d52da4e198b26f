"""The GPU Operator installs a driver on images that have one

`driver.enabled` or `toolkit.enabled` is true in the Operator's values, and EKS' accelerated images (AL2023 and
Bottlerocket by alias) bring NVIDIA's driver and container toolkit along.

Why: There is no driver image for Amazon Linux 2023: the driver pod cannot be pulled or refuses to run, the validator
waits for it, and `nvidia.com/gpu` never appears. The node is paid for and never becomes initialised.

Example:
    driver: {enabled: true}
    toolkit: {enabled: true}
    devicePlugin: {enabled: true}

Fix: Set `driver.enabled: false` and `toolkit.enabled: false`; on Bottlerocket also `devicePlugin.enabled: false`.

Source: EKS user guide, NVIDIA GPU Operator with accelerated AMIs; gpu-operator v26 chart values.
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found, Set
from fretsaw.lint.given import Input
from fretsaw.lint.market import listed
from fretsaw.lint.rule import rule
from fretsaw.lint.views import Values


@rule("GPU113", "error", on=Values, fixes=True)
def operator_driver_on_driver_image(values: Values, given: Input) -> Iterator[Found]:
    """The parts of the Operator that the image has already."""
    images = [one for one in given.classes if one.brings_driver]
    if given.classes and not images:
        return
    names = listed([f"{one.name} ({one.alias})" for one in images])
    parts = ["driver", "toolkit"]
    if images and all(one.family == "bottlerocket" for one in images):
        parts.append("devicePlugin")
    for part in parts:
        if values.enabled(part):
            path = f"{values.prefix}{part}.enabled"
            yield Found(
                path,
                f"the Operator would install its {part} on nodes whose image has one",
                fix=f"write {path}: false",
                proof=f"images with a driver: EC2NodeClass {names}" if images else "EKS' accelerated images have both",
                edits=(Set(path, False),),
                severity=None if images else "warning",
            )
