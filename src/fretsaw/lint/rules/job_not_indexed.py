"""A Job that reads its index and has none

The pods ask for `JOB_COMPLETION_INDEX` or its annotation, and the Job is not `completionMode: Indexed`.

Why: The annotation is never set: `--node_rank=` is empty. All workers start, each on a GPU that is paid for, and all
fail, or wait for a rank 0 that does not come.

Example:
    apiVersion: batch/v1
    kind: Job
    metadata: {name: pretraining}
    spec:
      parallelism: 4
      completions: 4
      template:
        spec:
          restartPolicy: OnFailure
          containers:
            - {name: t, image: 'training:v1', args: [--node_rank=$(JOB_COMPLETION_INDEX), train.py]}

Fix: Write `completionMode: Indexed`. The variable is then set by itself.

Source: kubernetes.io, Jobs (completion mode).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from fretsaw.lint.found import Found, Set
from fretsaw.lint.given import Input
from fretsaw.lint.rule import rule
from fretsaw.lint.tree import at
from fretsaw.lint.work import Work

_INDEX = re.compile(r"JOB_COMPLETION_INDEX|job-completion-index")


@rule("WORK101", "error", on=Work, fixes=True)
def job_not_indexed(work: Work, given: Input) -> Iterator[Found]:
    """Jobs whose pods need an index that they do not get."""
    if not work.is_job:
        return
    path = work.prefix.removesuffix(".template")
    if at(work.raw, *path.split("."), "completionMode") == "Indexed" or not _INDEX.search(str(work.raw_spec)):
        return
    yield Found(
        f"{path}.completionMode",
        "its pods read the completion index, and only Indexed Jobs have one: it is empty",
        fix="write completionMode: Indexed",
        edits=(Set(f"{path}.completionMode", "Indexed"),),
    )
