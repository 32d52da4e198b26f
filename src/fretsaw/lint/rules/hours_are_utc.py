"""Office hours in a schedule that is in UTC

A budget's schedule looks like working hours. It is read in UTC; there is no field for a time zone.

Why: "9 to 19" protects 18:00 to 04:00 in Seoul and 01:00 to 11:00 in San Francisco: nodes are drained in the middle
of the working day, and protected at night.

Example:
    apiVersion: karpenter.sh/v1
    kind: NodePool
    metadata: {name: gpu}
    spec:
      template:
        spec:
          requirements: [{key: karpenter.k8s.aws/instance-gpu-name, operator: In, values: [l4]}]
          nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: gpu}
      disruption:
        consolidateAfter: 5m
        budgets:
          - {nodes: '0', schedule: '0 9 * * MON-FRI', duration: 10h}

Fix: Write the hours in UTC, and say so in a comment with the word UTC: then this is not reported.

Source: Karpenter v1.14 documentation, disruption budgets (schedules are UTC).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.rule import rule
from fretsaw.lint.views import Disrupting

_DAYS = re.compile(r"mon-fri|1-5", re.IGNORECASE)


@rule("DRAIN111", "info", on=Disrupting)
def hours_are_utc(disrupting: Disrupting, given: Input) -> Iterator[Found]:
    """Windows of working days that begin in the morning of UTC."""
    if "UTC" in disrupting.document.chunk.text:
        return
    for number, budget in enumerate(disrupting.disruption.budgets):
        fields = (budget.schedule or "").split()
        if len(fields) != 5 or not fields[1].isdigit() or not _DAYS.fullmatch(fields[4]):
            continue
        if not 6 <= int(fields[1]) <= 10:
            continue
        begin = int(fields[1])
        yield Found(
            f"{disrupting.prefix}.budgets[{number}].schedule",
            f"begins at {begin:02}:00 UTC, which is {(begin + 9) % 24:02}:00 in Seoul and {(begin - 8) % 24:02}:00 in "
            "San Francisco (winter)",
            fix="write the hours in UTC, and a comment that says so",
        )
