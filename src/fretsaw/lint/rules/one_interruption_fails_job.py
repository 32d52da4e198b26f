"""A Job on Spot that the first interruption fails

`backoffLimit` is 0 (or smaller than what a fleet of Spot nodes will see), and the first pool that takes the pods buys
Spot.

Why: A pod that dies with its node counts as failed. With no retry left the whole Job fails, and with it all that its
other pods have done.

Example:
    apiVersion: karpenter.sh/v1
    kind: NodePool
    metadata: {name: gpu-spot}
    spec:
      template:
        spec:
          requirements: [{key: karpenter.sh/capacity-type, operator: In, values: [spot]}]
          nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: gpu}
    ---
    apiVersion: batch/v1
    kind: Job
    metadata: {name: embeddings}
    spec:
      backoffLimit: 0
      template:
        spec:
          restartPolicy: Never
          containers: [{name: embed, image: 'embed:v1'}]

Fix: Say that disruptions do not count: `podFailurePolicy` with action Ignore on condition DisruptionTarget, and a
higher `backoffLimit` for the rest.

Source: kubernetes.io, Jobs (pod failure policy, backoff limit).
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.kinds import first_landing, where_it_lands
from fretsaw.lint.rule import rule
from fretsaw.lint.tree import at
from fretsaw.lint.views import Thing


@rule("SPOT107", "warning", on=("Job", "CronJob"))
def one_interruption_fails_job(thing: Thing, given: Input) -> Iterator[Found]:
    """Jobs without retries on Spot."""
    prefix = "spec.jobTemplate.spec" if thing.kind == "CronJob" else "spec"
    spec = thing.at("spec", "jobTemplate", "spec") if thing.kind == "CronJob" else thing.at("spec")
    if not thing.document.api_version.startswith("batch/"):
        return
    if at(spec, "backoffLimit") != 0 or at(spec, "podFailurePolicy") or at(spec, "backoffLimitPerIndex"):
        return
    for work in given.works:
        landing = first_landing(work, given) if work.document is thing.document else None
        if landing is not None and landing.offer.launched_as == "spot":
            yield Found(
                f"{prefix}.backoffLimit",
                "no retry, on Spot: the first interruption fails the whole Job",
                fix="add a podFailurePolicy that ignores DisruptionTarget, and a backoffLimit above 0",
                proof=where_it_lands(landing),
                usd_per_hour=landing.offer.cheapest.usd * work.copies,
            )
