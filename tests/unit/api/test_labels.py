"""Label keys and values, and what controllers refuse of a requirement."""

import pytest

from fretsaw.api import labels


@pytest.mark.parametrize(
    ("key", "may"),
    [
        ("team", True),
        ("example.com/team", True),
        ("node.kubernetes.io/x", True),
        ("k8s.io/x", True),
        ("topology.kubernetes.io/zone", True),
        ("karpenter.k8s.aws/instance-gpu-count", True),
        ("topology.k8s.aws/zone-id", True),
        ("notkarpenter.sh/x", True),
        ("karpenter.sh", True),
        ("karpenter.sh/registered", False),
        ("gpu.karpenter.sh/x", False),
        ("karpenter.k8s.aws/ec2nodeclass", False),
        ("x.karpenter.k8s.aws/y", False),
        ("kubernetes.io/hostname", False),
    ],
)
def test_domains_are_restricted_with_their_subdomains_but_for_well_known_keys(key: str, may: bool) -> None:
    assert (labels.restricted(key) is None) is may


def test_what_is_well_known_is_up_to_the_caller() -> None:
    assert labels.restricted("karpenter.sh/custom", {"karpenter.sh/custom"}) is None
    assert labels.restricted("karpenter.sh/capacity-type", frozenset()) is not None


@pytest.mark.parametrize("alias", sorted(labels.ALIASES))
def test_aliases_resolve_to_well_known_keys_in_one_step(alias: str) -> None:
    assert labels.normalize(alias) in labels.WELL_KNOWN
    assert labels.normalize(labels.normalize(alias)) == labels.normalize(alias)


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("a", True),
        ("A_b.c-D9", True),
        ("example.com/a", True),
        ("n" * 63, True),
        ("n" * 64, False),
        ("", False),
        ("a/b/c", False),
        ("Example.com/a", False),
        ("/a", False),
        ("a/", False),
        ("-a", False),
        ("a\n", False),
        ("é", False),
        (f"{'d' * 254}/a", False),
    ],
)
def test_qualified_names(text: str, right: bool) -> None:
    assert labels.is_qualified_name(text) is right


@pytest.mark.parametrize(
    ("text", "right"), [("", True), ("a" * 63, True), ("a" * 64, False), ("a/b", False), ("a\n", False), ("-1", False)]
)
def test_label_values(text: str, right: bool) -> None:
    assert labels.is_label_value(text) is right


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("007", 7),
        ("+5", 5),
        ("-0", 0),
        ("9223372036854775807", 2**63 - 1),
        ("9223372036854775808", None),
        (" 5", None),
        ("1_0", None),
        ("0x1", None),
        ("", None),
        ("٣", None),
    ],
)
def test_integers_are_read_as_go_reads_them(text: str, number: int | None) -> None:
    assert labels.as_int64(text) == number


@pytest.mark.parametrize(
    ("key", "operator", "values", "least", "reason"),
    [
        ("team", "In", ["a"], None, None),
        ("team", "NotIn", [], None, None),
        ("team", "Exists", ["a"], None, None),
        ("beta.kubernetes.io/arch", "In", ["amd64"], None, None),
        ("karpenter.sh/capacity-type", "In", ["spot", "other"], None, None),
        ("team", "Gt", ["4"], None, None),
        ("team", "in", ["a"], None, "unknown operator"),
        ("kubernetes.io/hostname", "In", ["a"], None, "restricted"),
        ("a/b/c", "Exists", [], None, "not a label key"),
        ("team", "NotIn", ["no!"], None, "not a label value"),
        ("team", "In", [], None, "must have a value"),
        ("team", "In", ["a"], 2, "minValues 2"),
        ("karpenter.sh/capacity-type", "In", ["preemptible"], None, "no known value"),
        ("karpenter.sh/capacity-type", "In", ["spot", "x"], 2, "1 known values and minValues 2"),
        ("team", "Lt", ["-1"], None, "integer of at least zero"),
        ("team", "Gte", ["+5"], None, "not a label value"),
        ("team", "Gt", ["1", "2"], None, "a single integer"),
    ],
)
def test_a_requirement_is_refused_with_the_reason(
    key: str, operator: str, values: list[str], least: int | None, reason: str | None
) -> None:
    why = labels.requirement_problem(key, operator, values, least)
    assert why is None if reason is None else reason in (why or "")
