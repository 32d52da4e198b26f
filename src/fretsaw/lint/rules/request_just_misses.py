"""A request that just misses a smaller machine

CPU or memory requests are a little more than what a cheaper type has left after the system's share.

Why: `cpu: 4` and `memory: 16Gi` look made for a machine with 4 CPUs and 16 GiB, and never fit: kubelet and system
keep some of it. The next size is bought, with the same GPU, at up to twice the price.

Example:
    apiVersion: karpenter.sh/v1
    kind: NodePool
    metadata: {name: gpu}
    spec:
      template:
        spec:
          requirements: [{key: karpenter.k8s.aws/instance-gpu-name, operator: In, values: [a10g]}]
          nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: gpu}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: llm}
    spec:
      containers:
        - name: vllm
          image: vllm/vllm-openai:v0.11.0
          resources: {requests: {cpu: '4', memory: 16Gi}, limits: {nvidia.com/gpu: '1'}}

Fix: Ask for what the smaller type has allocatable, less what daemon pods take there.

Source: Karpenter AWS provider v1.14 (allocatable: capacity less kube-reserved, eviction threshold and 7.5 % of
memory).
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.kinds import first_landing
from fretsaw.lint.market import a_month, counted, dollars, listed
from fretsaw.lint.models import model_of
from fretsaw.lint.rule import rule
from fretsaw.lint.work import Work

_SHARE = 0.8
"""A request that has to shrink by more than a fifth is another request."""
_WORTH = 0.9
_CPU, _MEMORY = "cpu", "memory"


@rule("COST108", "warning", on=Work)
def request_just_misses(work: Work, given: Input) -> Iterator[Found]:
    """Pods with devices whose CPU or memory keep them off a cheaper type."""
    landing = first_landing(work, given)
    if landing is None or not work.devices or work.is_daemon:
        return
    room = landing.pool.offer
    less = {r: int(n * _SHARE) if r in (_CPU, _MEMORY) else n for r, n in work.requests.items()}
    smaller = room.holding(less)
    if not smaller:
        return
    better, now = smaller.cheapest, landing.offer.for_pods(work.requests, work.copies)
    then_usd = better.usd * work.copies
    if then_usd > now.usd * _WORTH or better.capacity_type != now.choice.capacity_type:
        return
    has = room.universe.allocatable[room.universe.number[better.type]]
    over = [r for r in (_CPU, _MEMORY) if work.requests.get(r, 0) > has.get(r, 0)]
    memory = int(room.label(better.type, "gpu-memory") or 0)
    models = [model for container in work.spec.containers if (model := model_of(work, container)) is not None]
    if not over or any(model.needed_mib > memory for model in models):
        return  # GPU107 says it
    saved = now.usd - then_usd
    limits = {_CPU: f"{has[_CPU] / 1000:g} CPUs", _MEMORY: f"{has[_MEMORY] // 2**20} MiB"}
    then = f"{work.copies} × {better.type}" if work.copies > 1 else better.type
    yield Found(
        work.container_path(0, "resources.requests"),
        f"asks for a little more {' and '.join(over)} than {better.type} has allocatable "
        f"({listed([limits[r] for r in over])})",
        fix=f"ask for less than {listed([limits[r] for r in over])}, by what daemon pods take",
        proof=f"{now} now, {then} at {dollars(then_usd)}/h then: {a_month(saved)} for {counted(work.copies, 'pod')}",
        usd_per_hour=saved,
    )
