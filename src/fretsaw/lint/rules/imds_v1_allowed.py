"""Instance metadata without a token

`httpTokens: optional` allows version 1 of the metadata service.

Why: A pod that can be made to fetch a URL can be made to hand out the node's credentials, which may launch instances:
a bill and a sleepless night.

Example:
    apiVersion: karpenter.k8s.aws/v1
    kind: EC2NodeClass
    metadata: {name: gpu}
    spec:
      amiSelectorTerms: [{alias: al2023@v20260801}]
      role: KarpenterNodeRole
      subnetSelectorTerms: [{tags: {karpenter.sh/discovery: ml}}]
      securityGroupSelectorTerms: [{tags: {karpenter.sh/discovery: ml}}]
      metadataOptions: {httpTokens: optional, httpPutResponseHopLimit: 2}

Fix: Write `httpTokens: required`.

Source: EC2 user guide, IMDSv2.
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found, Set
from fretsaw.lint.given import Input
from fretsaw.lint.rule import rule
from fretsaw.lint.tree import at
from fretsaw.lint.views import NodeClass


@rule("AWS103", "warning", on=NodeClass, fixes=True)
def imds_v1_allowed(node_class: NodeClass, given: Input) -> Iterator[Found]:
    """Classes that allow requests without a token."""
    if at(node_class.spec, "metadataOptions", "httpTokens") == "optional":
        path = "spec.metadataOptions.httpTokens"
        message = "the metadata service answers without a token: credentials of the node can be had through a pod"
        yield Found(path, message, fix="write required", edits=(Set(path, "required"),))
