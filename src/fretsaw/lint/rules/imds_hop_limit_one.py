"""Instance metadata that pods cannot reach

The node class serves GPU pools, and `httpPutResponseHopLimit` is 1, or left out: pods that are not on the host's
network get no answer from the metadata service.

Why: Tools in pods that ask it for the region or for the node's credentials hang until their timeout, and then fail
with an error that names neither.

Example:
    apiVersion: karpenter.k8s.aws/v1
    kind: EC2NodeClass
    metadata: {name: gpu}
    spec:
      amiSelectorTerms: [{alias: al2023@v20260801}]
      role: KarpenterNodeRole
      subnetSelectorTerms: [{tags: {karpenter.sh/discovery: ml}}]
      securityGroupSelectorTerms: [{tags: {karpenter.sh/discovery: ml}}]

Fix: Write a hop limit of 2 if pods need it; better, give pods identities of their own (EKS Pod Identity), then 1 is
right and this can be allowed.

Source: Karpenter AWS provider v1.14 (metadataOptions: default hop limit 1); EC2 user guide, instance metadata
options.
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.rule import rule
from fretsaw.lint.tree import a_map
from fretsaw.lint.views import NodeClass


@rule("AWS102", "info", on=NodeClass)
def imds_hop_limit_one(node_class: NodeClass, given: Input) -> Iterator[Found]:
    """Classes of GPU pools whose hop limit is one: model servers ask for the region and for credentials."""
    options = a_map(node_class.spec.get("metadataOptions"))
    limit = options.get("httpPutResponseHopLimit", 1)
    pools = given.pools_of(node_class)
    for_gpus = any(pool.is_accelerated for pool in pools) if given.pools else "gpu" in node_class.name
    if not for_gpus or options.get("httpEndpoint") == "disabled" or limit != 1:
        return
    said = "" if "httpPutResponseHopLimit" in options else " (the default)"
    yield Found(
        "spec.metadataOptions.httpPutResponseHopLimit",
        f"a hop limit of 1{said}: pods that are not on the host's network cannot ask for the region or for credentials",
        fix="write httpPutResponseHopLimit: 2, or allow this where pods have identities of their own",
    )
