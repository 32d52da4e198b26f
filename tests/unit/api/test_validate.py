"""Validation of whole objects: all problems at once, in the user's words; and the law that what is accepted decodes."""

import copy
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fretsaw.api.capacitybuffer import CapacityBuffer
from fretsaw.api.decode import strip_nulls
from fretsaw.api.nodeclass import EC2NodeClass
from fretsaw.api.nodeoverlay import NodeOverlay
from fretsaw.api.nodepool import NodePool
from fretsaw.api.validate import validate

REF = {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "gpu"}


def pool(**spec: Any) -> dict[str, Any]:
    """A NodePool; keys of the template's spec are told from those of the pool's."""
    own = {key: spec.pop(key) for key in ("disruption", "limits", "weight", "replicas") if key in spec}
    template: dict[str, Any] = {"spec": {"nodeClassRef": dict(REF), "requirements": [], **spec}}
    return {
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodePool",
        "metadata": {"name": "gpu"},
        "spec": {"template": template, **own},
    }


def node_class(**spec: Any) -> dict[str, Any]:
    """An EC2NodeClass."""
    base: dict[str, Any] = {
        "role": "nodes",
        "amiSelectorTerms": [{"alias": "al2023@latest"}],
        "subnetSelectorTerms": [{"id": "subnet-1"}],
        "securityGroupSelectorTerms": [{"id": "sg-1"}],
    }
    made = {key: value for key, value in {**base, **spec}.items() if value is not ...}
    return {"apiVersion": "karpenter.k8s.aws/v1", "kind": "EC2NodeClass", "metadata": {"name": "gpu"}, "spec": made}


def said(raw: dict[str, Any], **options: Any) -> list[str]:
    return [str(problem) for problem in validate(raw, **options)]


def test_all_problems_are_reported_at_once_and_the_object_is_left_alone() -> None:
    raw = pool(expireAfter="30d", weight="10", requirements=[{"key": "team", "operator": "in"}], taint=[])
    before = copy.deepcopy(raw)
    assert said(raw) == [
        'spec.template.spec.expireAfter: has the wrong form: "30d" (whole numbers with the units h, m and s, such as 1h30m, or Never)',
        'spec.template.spec.requirements[0].operator: unsupported value: "in" (did you mean "In"? supported: Gte, Lte, In, NotIn, Exists, DoesNotExist, Gt, Lt)',
        'spec.template.spec.taint: unknown field (did you mean "taints"?)',
        'spec.weight: must be a whole number: "10" (without quotes, if it is meant as one)',
    ]
    assert raw == before


def test_fields_of_earlier_apis_say_what_took_their_place() -> None:
    raw = pool()
    raw["spec"]["ttlSecondsAfterEmpty"] = 30
    assert said(raw) == ["spec.ttlSecondsAfterEmpty: unknown field (spec.disruption.consolidateAfter does this now)"]


def test_null_is_absent_and_defaults_are_set_before_rules_run() -> None:
    assert said(pool(weight=None, disruption=None, taints=None)) == []
    assert said(pool(disruption={"consolidateAfter": None})) == [
        "spec.disruption.consolidateAfter: missing (a value is required here)"
    ]
    assert said(pool(disruption={"consolidateAfter": "1h", "budgets": [{"nodes": None}]})) == []


def test_a_null_item_of_a_list_is_not_absent() -> None:
    assert said(pool(requirements=[None])) == ["spec.template.spec.requirements[0]: must be a map: null"]


def test_the_node_class_may_change_its_name_only() -> None:
    old = pool()
    for key, problems in {"group": 1, "kind": 1, "name": 0}.items():
        new = pool(nodeClassRef={**REF, key: "other"})
        assert [p.path for p in validate(new, old=old)] == [f"spec.template.spec.nodeClassRef.{key}"] * problems


def test_a_pool_stays_static_or_dynamic() -> None:
    message = "Cannot transition NodePool between static (replicas set) and dynamic (replicas unset) provisioning modes"
    assert [p.message for p in validate(pool(replicas=1), old=pool())] == [message]
    assert [p.message for p in validate(pool(), old=pool(replicas=1))] == [message]
    assert validate(pool(replicas=2), old=pool(replicas=1)) == []


def test_replicas_fit_the_scale_subresource() -> None:
    assert said(pool(replicas=2**31)) == ["spec.replicas: is too large: 2147483648 (at most 2147483647)"]


def test_a_line_break_after_a_right_text_is_seen() -> None:
    assert [p.path for p in validate(pool(expireAfter="1h\n"))] == ["spec.template.spec.expireAfter"]


def test_reasons_are_a_set() -> None:
    raw = pool(disruption={"consolidateAfter": "0s", "budgets": [{"reasons": ["Empty", "Empty"]}]})
    assert said(raw) == ['spec.disruption.budgets[0].reasons[1]: duplicate: "Empty" (each may stand once)']


def test_runtime_problems_come_after_admission_and_only_if_asked_for() -> None:
    taint = {"key": "a", "effect": "NoSchedule"}
    raw = pool(taints=[taint], startupTaints=[taint])
    found = validate(raw)
    assert [(p.path, p.by) for p in found] == [
        ("spec.template.spec.startupTaints[0]", "runtime"),
        ("spec.template.spec.taints[0]", "runtime"),
    ]
    assert {p.message for p in found} == {"duplicate taint Key/Effect pair a=NoSchedule"}
    assert validate(raw, runtime=False) == []


def test_the_aws_label_domain_is_a_rule_with_aws_and_a_refusal_without() -> None:
    raw = pool(requirements=[{"key": "karpenter.k8s.aws/custom", "operator": "Exists"}])
    assert [p.by for p in validate(raw)] == ["rule"]
    assert [p.by for p in validate(raw, aws=False)] == ["runtime"]


def test_status_is_not_judged_but_its_slips_are_mentioned() -> None:
    raw = pool()
    raw["status"] = {"nodes": "three"}
    assert [(p.path, p.severity) for p in validate(raw)] == [("status.nodes", "warning")]


@pytest.mark.parametrize(
    ("metadata", "path"),
    [
        (None, "metadata.name"),
        ({}, "metadata.name"),
        ({"name": "Gpu"}, "metadata.name"),
        ({"name": "a" * 254}, "metadata.name"),
        ({"name": 5}, "metadata.name"),
        ({"generateName": "Gpu-"}, "metadata.generateName"),
        ({"name": "a", "labels": {"a": 5}}, "metadata.labels.a"),
        ({"name": "a", "labels": {"a/b/c": ""}}, "metadata.labels.a/b/c"),
        ({"name": "a", "annotations": {"a b": ""}}, "metadata.annotations.a b"),
        ({"name": "a", "lables": {}}, "metadata.lables"),
        (
            {"name": "a", "ownerReferences": [{"kind": "X", "name": "x", "apiVersion": "v1"}]},
            "metadata.ownerReferences[0].uid",
        ),
    ],
)
def test_metadata_is_checked_too(metadata: Any, path: str) -> None:
    assert [p.path for p in validate({**pool(), "metadata": metadata})] == [path]


def test_generated_names_may_end_in_a_dash() -> None:
    assert validate({**pool(), "metadata": {"generateName": "gpu-"}}) == []


@pytest.mark.parametrize("size", ["1Gi", "58Ti", "17Ti", "64T", "64000G", "59000Gi"])
def test_volume_sizes_that_pass(size: str) -> None:
    assert validate(node_class(blockDeviceMappings=[{"ebs": {"volumeSize": size}}])) == []


@pytest.mark.parametrize("size", ["18Ti", "59Ti", "65T", "0Gi", "1.5Ti", "100Mi", "059Gi", "1Gi\n", 100])
def test_volume_sizes_that_do_not(size: Any) -> None:
    found = validate(node_class(blockDeviceMappings=[{"ebs": {"volumeSize": size}}]))
    assert [p.path for p in found] == ["spec.blockDeviceMappings[0].ebs.volumeSize"]


def test_one_bad_term_among_good_ones_passes_where_the_peer_lets_it() -> None:
    mixed = {"id": "cr-1", "tags": {"a": "b"}}
    assert validate(node_class(capacityReservationSelectorTerms=[mixed, {"id": "cr-2"}])) == []
    assert len(validate(node_class(capacityReservationSelectorTerms=[mixed]))) == 1
    assert len(validate(node_class(capacityReservationSelectorTerms=[]))) == 1


def test_a_class_without_spec_is_admitted_with_a_warning() -> None:
    raw = {"apiVersion": "karpenter.k8s.aws/v1", "kind": "EC2NodeClass", "metadata": {"name": "a"}}
    assert [p.severity for p in validate(raw)] == ["warning"]


def test_other_kinds_have_no_problems_here() -> None:
    assert validate({"apiVersion": "v1", "kind": "Pod"}) == []


# What is accepted decodes, and encodes to something that is accepted ------------------------------------------------

KEYS = st.sampled_from(
    ["team", "example.com/a", "karpenter.sh/capacity-type", "karpenter.sh/x", "kubernetes.io/hostname", "a/b/c", ""]
)
VALUES = st.lists(st.sampled_from(["spot", "4", "-1", "", "no!", "1.5"]), max_size=3)
REQUIREMENTS = st.lists(
    st.fixed_dictionaries(
        {"key": KEYS, "operator": st.sampled_from(["In", "NotIn", "Exists", "Gt", "in"])},
        optional={"values": VALUES, "minValues": st.sampled_from([None, 0, 1, 3])},
    ),
    max_size=3,
)
TAINTS = st.lists(
    st.fixed_dictionaries(
        {"key": KEYS, "effect": st.sampled_from(["NoSchedule", "NoExecute", "No"])},
        optional={"value": st.sampled_from(["", "x"])},
    ),
    max_size=2,
)
DURATIONS = st.sampled_from(["1h", "0s", "Never", "30d", "9999999h", None, 5])
QUANTITIES = st.dictionaries(
    st.sampled_from(["cpu", "nvidia.com/gpu", "nodes"]),
    st.sampled_from(["1", 2, "1.5", 0.5, "4Gi", "x", "1e1.5"]),
    max_size=2,
)
BUDGETS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "nodes": st.sampled_from(["10%", "0", 5, "101%"]),
            "reasons": st.lists(st.sampled_from(["Empty", "Drifted", "x"]), max_size=2),
            "schedule": st.sampled_from(["@daily", "0 9 * * *", "99 * * * *"]),
            "duration": st.sampled_from(["1h", "60s"]),
        },
    ),
    max_size=2,
)
POOLS = st.builds(
    pool,
    requirements=REQUIREMENTS,
    taints=TAINTS,
    startupTaints=TAINTS,
    expireAfter=DURATIONS,
    terminationGracePeriod=DURATIONS,
    limits=QUANTITIES,
    weight=st.sampled_from([None, 1, 100, 101, "1"]),
    replicas=st.sampled_from([None, None, 0, 3, -1]),
    disruption=st.none() | st.fixed_dictionaries({"consolidateAfter": DURATIONS}, optional={"budgets": BUDGETS}),
)
TERMS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "id": st.sampled_from(["subnet-1", "ami-1 sg-1 cr-1 subnet-1", "x"]),
            "tags": st.sampled_from([{}, {"a": "b"}, {"a": ""}]),
        },
    ),
    max_size=2,
)
CLASSES = st.builds(
    node_class,
    subnetSelectorTerms=TERMS,
    capacityReservationSelectorTerms=st.just(...) | TERMS,
    amiFamily=st.sampled_from([..., "AL2023", "AL2"]),
    kubelet=st.sampled_from([..., None, {}, {"maxPods": 10}, {"maxPodz": 1}]),
    networkInterfaces=st.sampled_from(
        [..., [], [{"networkCardIndex": 0, "deviceIndex": 0, "interfaceType": "interface"}]]
    ),
    metadataOptions=st.sampled_from([..., {}, {"httpTokens": "optional"}, {"httpTokens": "x"}]),
    blockDeviceMappings=st.sampled_from(
        [..., [], [{"deviceName": "/dev/xvda", "ebs": {"volumeSize": "1Gi", "iops": 3000}}], [{"ebs": {}}]]
    ),
    tags=st.sampled_from([..., {}, {"a": ""}, {"karpenter.sh/nodepool": "x"}]),
)
OVERLAYS = st.builds(
    lambda **spec: {
        "apiVersion": "karpenter.sh/v1alpha1",
        "kind": "NodeOverlay",
        "metadata": {"name": "o"},
        "spec": spec,
    },
    requirements=REQUIREMENTS,
    price=st.sampled_from([None, "1.5", 1.5]),
    priceAdjustment=st.sampled_from([None, "-10%", "5"]),
    capacity=QUANTITIES,
)
BUFFERS = st.builds(
    lambda **spec: {
        "apiVersion": "autoscaling.x-k8s.io/v1beta1",
        "kind": "CapacityBuffer",
        "metadata": {"name": "b"},
        "spec": spec,
    },
    podTemplateRef=st.sampled_from([None, {"name": "p"}, {"name": ""}]),
    scalableRef=st.sampled_from([None, {"kind": "Deployment", "name": "d"}]),
    replicas=st.sampled_from([None, 0, 2**31]),
    limits=st.sampled_from(
        [None, {"cpu": "1"}, {"cpu": 2, "nvidia.com/gpu": "x"}]
    ),  # an empty map is left out when written
)


def _round_trip(raw: dict[str, Any], struct: type[msgspec.Struct]) -> bool:
    """Whether the object is accepted; if so, it decodes, and what it encodes to is accepted as well."""
    if any(problem.severity == "error" for problem in validate(raw)):
        return False
    decoded = msgspec.convert(strip_nulls(raw), struct)
    encoded = {"apiVersion": raw["apiVersion"], "kind": raw["kind"], **msgspec.to_builtins(decoded)}
    assert not [problem for problem in validate(encoded) if problem.severity == "error"], encoded
    assert msgspec.convert(encoded, struct) == decoded
    return True


@pytest.mark.parametrize(("amount", "accepted"), [(2**63 - 1, True), (2**63, False), (1e300, False), (-(2**63), True)])
def test_an_amount_beyond_64_bits_is_no_whole_number(amount: float, accepted: bool) -> None:
    wrong = [p.path for p in validate(pool(limits={"cpu": amount}))]
    assert wrong == ([] if accepted else ["spec.limits.cpu"])


def test_an_unknown_field_of_metadata_is_refused_even_when_null() -> None:
    raw = pool()
    raw["metadata"]["lables"] = None
    assert [(p.path, p.message) for p in validate(raw)] == [("metadata.lables", "unknown field")]


@pytest.mark.parametrize(
    ("namespace", "accepted"), [("ml-team", True), ("ML", False), ("a.b", False), ("n" * 63, True), ("n" * 64, False)]
)
def test_a_namespace_is_a_dns_label(namespace: str, accepted: bool) -> None:
    raw = {
        "apiVersion": "autoscaling.x-k8s.io/v1beta1",
        "kind": "CapacityBuffer",
        "metadata": {"name": "room", "namespace": namespace},
        "spec": {"podTemplateRef": {"name": "worker"}, "replicas": 1},
    }
    assert [p.path for p in validate(raw)] == ([] if accepted else ["metadata.namespace"])


@pytest.mark.parametrize(("added", "paths"), [("2026-01-01T00:00:00Z", []), ("2026-01-01t00:00:00z", ["timeAdded"])])
def test_a_time_in_lower_case_is_admitted_and_does_not_decode(added: str, paths: list[str]) -> None:
    found = validate(pool(taints=[{"key": "a", "effect": "NoSchedule", "timeAdded": added}]))
    assert [(p.path, p.by) for p in found] == [(f"spec.template.spec.taints[0].{name}", "runtime") for name in paths]


def test_an_update_may_not_rename_the_object() -> None:
    other = pool()
    other["metadata"]["name"] = "other"
    assert [p.path for p in validate(other, old=pool())] == ["metadata.name"]
    assert validate(pool(), old=pool()) == []


def _interfaces(count: int) -> list[dict[str, Any]]:
    return [
        {"networkCardIndex": i, "deviceIndex": 0, "interfaceType": "efa-only" if i else "interface"}
        for i in range(count)
    ]


def test_as_many_network_interfaces_as_the_list_holds_are_compared() -> None:
    assert validate(node_class(networkInterfaces=_interfaces(150))) == []
    twice = [*_interfaces(149), _interfaces(149)[-1]]
    assert [p.path for p in validate(node_class(networkInterfaces=twice))] == ["spec.networkInterfaces"]


@settings(max_examples=150, deadline=None)
@given(POOLS)
def test_accepted_pools_decode_and_stay_accepted(raw: dict[str, Any]) -> None:
    _round_trip(raw, NodePool)


@settings(max_examples=150, deadline=None)
@given(CLASSES)
def test_accepted_node_classes_decode_and_stay_accepted(raw: dict[str, Any]) -> None:
    _round_trip(raw, EC2NodeClass)


@settings(max_examples=60, deadline=None)
@given(OVERLAYS)
def test_accepted_overlays_decode_and_stay_accepted(raw: dict[str, Any]) -> None:
    _round_trip(raw, NodeOverlay)


@settings(max_examples=60, deadline=None)
@given(BUFFERS)
def test_accepted_buffers_decode_and_stay_accepted(raw: dict[str, Any]) -> None:
    _round_trip(raw, CapacityBuffer)


def test_the_law_is_not_empty() -> None:
    full = pool(
        requirements=[{"key": "team", "operator": "In", "values": ["a", "b"], "minValues": 2}],
        taints=[{"key": "a", "effect": "NoSchedule", "timeAdded": "2026-01-01T00:00:00Z"}],
        disruption={
            "consolidateAfter": "Never",
            "budgets": [{"reasons": []}, {"nodes": "0", "schedule": "@daily", "duration": "1h"}],
        },
        limits={"cpu": 10, "nvidia.com/gpu": "8"},
    )
    assert _round_trip(full, NodePool)
    assert _round_trip(node_class(subnetSelectorTerms=[{"tags": {}}], kubelet={"maxPods": 5}), EC2NodeClass)
