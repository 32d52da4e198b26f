"""One server on Spot

A model server with a single replica lands on Spot.

Why: Each interruption is an outage: two minutes' notice are less than it takes to buy a node, pull the image and load
the weights.

Example:
    apiVersion: karpenter.sh/v1
    kind: NodePool
    metadata: {name: gpu-spot}
    spec:
      template:
        spec:
          requirements:
            - {key: karpenter.sh/capacity-type, operator: In, values: [spot]}
            - {key: karpenter.k8s.aws/instance-gpu-name, operator: In, values: [l4]}
          nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: gpu}
    ---
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: llm}
    spec:
      selector: {matchLabels: {app: llm}}
      template:
        metadata: {labels: {app: llm}}
        spec:
          containers: [{name: vllm, image: 'vllm/vllm-openai:v0.11.0', resources: {limits: {nvidia.com/gpu: '1'}}}]

Fix: Run two or more, spread over zones; or keep the one on On-Demand.

Source: EC2 user guide, Spot interruption notices; start-up times of model servers (minutes).
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.kinds import first_landing, where_it_lands
from fretsaw.lint.rule import rule
from fretsaw.lint.work import Work


@rule("SPOT108", "info", on=Work)
def single_server_on_spot(work: Work, given: Input) -> Iterator[Found]:
    """Servers with one replica whose first pool is Spot."""
    landing = first_landing(work, given)
    if not work.serves or work.copies != 1 or landing is None or landing.offer.launched_as != "spot":
        return
    least = [one.at("spec", "minReplicas") for one in given.autoscalers(work)]
    if work.kind not in ("Deployment", "StatefulSet") or any(isinstance(n, int) and n > 1 for n in least):
        return
    yield Found(
        "spec.replicas",
        "the only replica runs on Spot: each interruption is an outage until a new node has loaded the model",
        fix="run two replicas, or select On-Demand",
        proof=where_it_lands(landing),
    )
