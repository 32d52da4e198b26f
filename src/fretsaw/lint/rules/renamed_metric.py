"""A Karpenter metric that has another name now

The expression asks for a metric whose name has changed; under the old name nothing is exported.

Why: The alert never fires and the panel is empty, without any error: it is found out when it was needed.

Example:
    apiVersion: monitoring.coreos.com/v1
    kind: PrometheusRule
    metadata: {name: gpu, labels: {release: kube-prometheus-stack}}
    spec:
      groups:
        - name: gpu
          rules:
            - alert: NearLimit
              expr: karpenter_nodepool_usage / karpenter_nodepool_limit > 0.9

Fix: Write the new name. Labels and meaning are the same but where the message says so.

Source: Karpenter upgrade guide 1.0, changes of metrics; Karpenter v1.14 metrics reference.
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found, Substitute
from fretsaw.lint.given import Input
from fretsaw.lint.metrics import DROPPED, RENAMED, base
from fretsaw.lint.query import Query
from fretsaw.lint.rule import rule


@rule("OBS101", "error", on=Query, fixes=True)
def renamed_metric(query: Query, given: Input) -> Iterator[Found]:
    """Names of metrics that are gone."""
    for name in query.names:
        if (old := base(name, RENAMED)) is not None:
            new = RENAMED[old] + name.removeprefix(old)
            yield Found(
                query.path,
                f"{query.heading}: {name} is not exported any more: it is always empty",
                fix=f"write {new}",
                word=name,
                edits=(Substitute(query.path, name, new),),
            )
        elif (old := base(name, DROPPED)) is not None:
            yield Found(
                query.path,
                f"{query.heading}: {name} is not exported any more, and nothing has taken its name",
                fix=f"ask {DROPPED[old]}",
                word=name,
            )
