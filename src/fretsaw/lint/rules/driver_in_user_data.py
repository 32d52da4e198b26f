"""A boot script that installs a driver on an image that has one

`userData` speaks of NVIDIA's driver or of the GPU Operator, and the AMI alias gives GPU types an image with a driver.

Why: A second driver breaks the first one, or the script waits for something that nobody installs; each boot takes
minutes longer on a machine that is paid for by the second. A comment alone leads the next reader astray: two things
claim to install the driver.

Example:
    apiVersion: karpenter.k8s.aws/v1
    kind: EC2NodeClass
    metadata: {name: gpu}
    spec:
      amiSelectorTerms: [{alias: al2023@latest}]
      role: KarpenterNodeRole
      subnetSelectorTerms: [{tags: {karpenter.sh/discovery: ml}}]
      securityGroupSelectorTerms: [{tags: {karpenter.sh/discovery: ml}}]
      userData: |
        #!/bin/bash
        dnf install -y nvidia-driver-latest

Fix: Leave the driver to the image, and the Operator's `driver.enabled` at false (GPU113).

Source: EKS user guide, accelerated AMIs; Karpenter AWS provider v1.14 (alias: GPU types get the nvidia image).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.rule import rule
from fretsaw.lint.views import NodeClass

_DRIVER = re.compile(
    r"nvidia[^\n]{0,40}driver|driver[^\n]{0,40}nvidia|cuda-drivers|NVIDIA-Linux|gpu operator", re.IGNORECASE
)


@rule("GPU114", "warning", on=NodeClass)
def driver_in_user_data(node_class: NodeClass, given: Input) -> Iterator[Found]:
    """Boot scripts about drivers on images with a driver."""
    match = _DRIVER.search(node_class.user_data)
    if match is None or not node_class.brings_driver:
        return
    line = next((line for line in node_class.user_data.splitlines() if match[0] in line), "")
    only_said = line.lstrip().startswith("#")
    says = "says that something else brings" if only_said else "deals with"
    yield Found(
        "spec.userData",
        f"the boot script {says} a driver ({line.strip()}), and {node_class.alias} brings one for GPU types",
        fix="leave the driver to the image, and driver.enabled of the GPU Operator at false",
        word=line.strip(),
        severity="info" if only_said else None,
    )
