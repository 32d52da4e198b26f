"""GPUs are shared on the node, and the autoscaler does not know

The device plugin's configuration makes several devices of each GPU. The autoscaler plans with whole GPUs.

Why: For ten pods with a tenth of a GPU each, ten nodes are bought; nine of them turn out to be empty minutes later,
and start over with the next ten pods.

Example:
    apiVersion: v1
    kind: ConfigMap
    metadata: {name: device-plugin, namespace: gpu-operator}
    data:
      any: |
        version: v1
        sharing: {timeSlicing: {resources: [{name: nvidia.com/gpu, replicas: 10}]}}

Fix: Add a NodeOverlay that gives the types of the shared pool `nvidia.com/gpu` times the replicas (feature gate
NodeOverlay), and select that pool by a label in the pods that share.

Source: NVIDIA device plugin, sharing; Karpenter documentation, NodeOverlays.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.rule import rule
from fretsaw.lint.tree import a_map, texts
from fretsaw.lint.views import Thing

_SHARED = re.compile(r"(timeSlicing|mps)\s*:[\s\S]{0,300}?replicas\s*:\s*(\d+)")


@rule("GPU119", "info", on="ConfigMap")
def shared_gpus_uncounted(thing: Thing, given: Input) -> Iterator[Found]:
    """Sharing configurations without an overlay."""
    if any("nvidia.com/gpu" in a_map(o.at("spec", "capacity")) for o in given.by_kind.get("NodeOverlay", ())):
        return
    for key, value in texts(thing.raw.get("data")).items():
        match = _SHARED.search(value)
        if match is not None and int(match[2]) > 1:
            yield Found(
                f"data.{key}",
                f"each GPU becomes {match[2]} devices ({match[1]}), and nodes are planned with one: up to {match[2]} "
                "times too many are bought",
                fix="add a NodeOverlay with the capacity that these nodes will have",
                word="replicas",
            )
