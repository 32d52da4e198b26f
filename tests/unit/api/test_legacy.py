"""Old Karpenter kinds: every old field is answered with what to write today."""

from fretsaw.api.legacy import check
from fretsaw.api.manifest import parse


def advice(text):
    return {problem.path: problem.right for problem in check(parse(text).documents[0].raw)}


def test_provisioner_v1alpha5():
    text = """apiVersion: karpenter.sh/v1alpha5
kind: Provisioner
metadata: {name: default}
spec:
  labels: {team: ml}
  annotations: {a: b}
  taints: [{key: gpu, effect: NoSchedule}]
  startupTaints: []
  requirements:
    - {key: karpenter.sh/provisioner-name, operator: In, values: [default]}
  limits: {resources: {cpu: 1000}}
  providerRef: {name: mine}
  ttlSecondsAfterEmpty: 30
  consolidation: {enabled: true}
  ttlSecondsUntilExpired: 604800
  kubeletConfiguration: {containerRuntime: containerd}
  weight: 10
"""
    assert advice(text) == {
        "apiVersion": "write kind NodePool, apiVersion karpenter.sh/v1",
        "spec.requirements": "move it unchanged to spec.template.spec.requirements",
        "spec.taints": "move it unchanged to spec.template.spec.taints",
        "spec.startupTaints": "move it unchanged to spec.template.spec.startupTaints",
        "spec.labels": "move it unchanged to spec.template.metadata.labels",
        "spec.annotations": "move it unchanged to spec.template.metadata.annotations",
        "spec.requirements[0].key": "leave it out: the pool's name is in the label karpenter.sh/nodepool",
        "spec.providerRef": "spec.template.spec.nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: mine}",
        "spec.ttlSecondsAfterEmpty": "spec.disruption: {consolidationPolicy: WhenEmpty, consolidateAfter: 30s}",
        "spec.consolidation.enabled": "spec.disruption: {consolidationPolicy: WhenEmptyOrUnderutilized, consolidateAfter: 0s}",
        "spec.ttlSecondsUntilExpired": "spec.template.spec.expireAfter: 168h",
        "spec.limits.resources": "write its entries under spec.limits: {cpu: 1000}",
        "spec.kubeletConfiguration": "move it to spec.kubelet of the EC2NodeClass",
        "spec.kubeletConfiguration.containerRuntime": "leave it out: containerd is the only one",
    }


def test_consolidation_that_is_off_stays_off():
    text = (
        "{apiVersion: karpenter.sh/v1alpha5, kind: Provisioner, spec: {consolidation: {enabled: false}, provider: {}}}"
    )
    assert advice(text)["spec.consolidation.enabled"] == (
        "spec.disruption: {consolidationPolicy: WhenEmpty, consolidateAfter: Never}"
    )
    assert "EC2NodeClass" in advice(text)["spec.provider"]


def test_machine_v1alpha5():
    text = "{apiVersion: karpenter.sh/v1alpha5, kind: Machine, spec: {machineTemplateRef: {name: a}, kubelet: {maxPods: 3}}}"
    assert advice(text) == {
        "apiVersion": "write kind NodeClaim, apiVersion karpenter.sh/v1",
        "spec.machineTemplateRef": "spec.nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: a}",
        "spec.kubelet": "move it to spec.kubelet of the EC2NodeClass",
    }


def test_aws_node_template_v1alpha1():
    text = """apiVersion: karpenter.k8s.aws/v1alpha1
kind: AWSNodeTemplate
metadata: {name: mine}
spec:
  subnetSelector: {karpenter.sh/discovery: prod, Tier: private}
  securityGroupSelector: {"aws-ids": "sg-1, sg-2"}
  amiSelector: {"aws::name": my-ami, "aws::owners": "self", env: prod}
  instanceProfile: nodes
  tags: {a: b}
"""
    assert advice(text) == {
        "apiVersion": "write kind EC2NodeClass, apiVersion karpenter.k8s.aws/v1",
        "spec.subnetSelector": "spec.subnetSelectorTerms: [{tags: {karpenter.sh/discovery: prod, Tier: private}}]",
        "spec.securityGroupSelector": "spec.securityGroupSelectorTerms: [{id: sg-1}, {id: sg-2}]",
        "spec.amiSelector": "spec.amiSelectorTerms: [{name: my-ami, owner: self, tags: {env: prod}}]",
    }


def test_aws_node_template_without_what_is_required_now():
    text = "{apiVersion: karpenter.k8s.aws/v1alpha1, kind: AWSNodeTemplate, spec: {amiFamily: Bottlerocket, launchTemplate: lt}}"
    got = advice(text)
    assert got["spec.amiFamily"] == "spec.amiSelectorTerms: [{alias: bottlerocket@latest}]"
    assert got["spec.launchTemplate"].startswith("no longer supported")
    assert got["spec.instanceProfile"].startswith("spec.role (or spec.instanceProfile) is required")


def test_node_pool_v1beta1():
    text = """apiVersion: karpenter.sh/v1beta1
kind: NodePool
metadata: {name: default}
spec:
  template:
    spec:
      nodeClassRef: {name: default}
      kubelet: {maxPods: 10}
  disruption: {consolidationPolicy: WhenUnderutilized, expireAfter: 168h}
"""
    assert advice(text) == {
        "apiVersion": "write apiVersion karpenter.sh/v1",
        "spec.template.spec.nodeClassRef": "spec.template.spec.nodeClassRef: "
        "{group: karpenter.k8s.aws, kind: EC2NodeClass, name: default}",
        "spec.template.spec.kubelet": "move it to spec.kubelet of the EC2NodeClass",
        "spec.disruption.expireAfter": "spec.template.spec.expireAfter: 168h",
        "spec.disruption.consolidationPolicy": "consolidationPolicy: WhenEmptyOrUnderutilized",
        "spec.disruption.consolidateAfter": "required in v1; v1beta1 acted as 0s",
    }


def test_node_claim_and_node_class_v1beta1():
    claim = """apiVersion: karpenter.sh/v1beta1
kind: NodeClaim
spec: {nodeClassRef: {apiVersion: karpenter.k8s.aws/v1beta1, kind: EC2NodeClass, name: a}}
"""
    assert advice(claim) == {
        "apiVersion": "write apiVersion karpenter.sh/v1",
        "spec.nodeClassRef.apiVersion": "group: karpenter.k8s.aws",
    }
    node_class = "{apiVersion: karpenter.k8s.aws/v1beta1, kind: EC2NodeClass, spec: {amiFamily: AL2, role: r}}"
    assert advice(node_class) == {
        "apiVersion": "write apiVersion karpenter.k8s.aws/v1",
        "spec.amiFamily": "spec.amiSelectorTerms: [{alias: al2@latest}]",
    }
    chosen = "{apiVersion: karpenter.k8s.aws/v1beta1, kind: EC2NodeClass, spec: {amiFamily: AL2, amiSelectorTerms: [{id: a}]}}"
    assert list(advice(chosen)) == ["apiVersion"]


def test_current_and_foreign_kinds_are_none_of_its_business():
    for api_version, kind in (
        ("karpenter.sh/v1", "NodePool"),
        ("v1", "Pod"),
        ("example.com/v1", "Machine"),
        (3, "Pod"),
    ):
        assert check({"apiVersion": api_version, "kind": kind}) is None


def test_broken_shapes_do_not_break_the_advice():
    for spec in (
        None,
        [],
        "x",
        {"providerRef": 3, "limits": [], "requirements": 5, "consolidation": 1, "taints": None},
    ):
        assert check({"apiVersion": "karpenter.sh/v1alpha5", "kind": "Provisioner", "spec": spec})
        assert check({"apiVersion": "karpenter.sh/v1beta1", "kind": "NodePool", "spec": spec})
    odd = {"subnetSelector": 1, "amiFamily": ["x"], "securityGroupSelector": {"aws-ids": None}}
    assert check({"apiVersion": "karpenter.k8s.aws/v1alpha1", "kind": "AWSNodeTemplate", "spec": odd})


def test_auto_mode_node_classes_are_a_warning_of_their_own():
    (problem,) = parse("{apiVersion: eks.amazonaws.com/v1, kind: NodeClass, metadata: {name: default}}").problems
    assert (problem.severity, problem.message) == ("warning", "a NodeClass of EKS Auto Mode is not planned with")


def test_placeholders_do_not_hide_the_advice():
    text = "{apiVersion: karpenter.sh/v1alpha5, kind: Provisioner, metadata: {name: a}, spec: {providerRef: {name: '${N}'}}}"
    rights = [problem.right for problem in parse(text).problems]
    assert "spec.template.spec.nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: ${N}}" in rights
