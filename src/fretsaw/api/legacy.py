"""Karpenter's old kinds, recognised so that each old field is answered with what to write today.

Source: Karpenter's upgrade guides v0.32 (v1alpha5 → v1beta1) and v1.0 (v1beta1 → v1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from fretsaw.api.problem import Problem

_Tree = dict[str, Any]
_POOL: Final = "karpenter.sh/v1"
_CLASS: Final = "karpenter.k8s.aws/v1"
_ALIASES: Final = {
    "AL2": "al2@latest",
    "AL2023": "al2023@latest",
    "Bottlerocket": "bottlerocket@latest",
    "Windows2019": "windows2019@latest",
    "Windows2022": "windows2022@latest",
}


def check(raw: _Tree) -> list[Problem] | None:
    """What to write instead of an object of an old kind; None for every other object."""
    api_version, kind = raw.get("apiVersion"), raw.get("kind")
    if not isinstance(api_version, str) or not isinstance(kind, str):
        return None
    reader = _READERS.get((api_version, kind)) or _READERS.get((api_version.partition("/")[0], kind))
    if reader is None:
        return None
    spec = raw.get("spec")
    return list(reader(raw, spec if isinstance(spec, dict) else {}))


def _old(raw: _Tree, kind: str, api_version: str) -> Problem:
    seen = f"{raw['kind']} {raw['apiVersion']}"
    right = f"write kind {kind}, apiVersion {api_version}" if raw["kind"] != kind else f"write apiVersion {api_version}"
    return Problem("apiVersion", "an old kind that Karpenter no longer reads", seen=seen, right=right)


def _moved(path: str, right: str, seen: object = "") -> Problem:
    return Problem(path, "an old field", seen=str(seen) if seen != "" else "", right=right)


def _provisioner(raw: _Tree, spec: _Tree) -> Iterator[Problem]:
    yield _old(raw, "NodePool", _POOL)
    for name, home in (
        ("requirements", "spec.template.spec.requirements"),
        ("taints", "spec.template.spec.taints"),
        ("startupTaints", "spec.template.spec.startupTaints"),
        ("labels", "spec.template.metadata.labels"),
        ("annotations", "spec.template.metadata.annotations"),
    ):
        if name in spec:
            yield _moved(f"spec.{name}", f"move it unchanged to {home}")
    yield from _provisioner_names(spec.get("requirements"))
    yield from _provider(spec)
    yield from _disruption(spec)
    limits = spec.get("limits")
    if isinstance(limits, dict) and "resources" in limits:
        yield _moved("spec.limits.resources", f"write its entries under spec.limits: {_flow(limits['resources'])}")
    if "kubeletConfiguration" in spec:
        yield from _kubelet(spec["kubeletConfiguration"], "spec.kubeletConfiguration")


def _provisioner_names(requirements: Any) -> Iterator[Problem]:
    for index, item in enumerate(requirements if isinstance(requirements, list) else ()):
        if isinstance(item, dict) and item.get("key") == "karpenter.sh/provisioner-name":
            yield _moved(
                f"spec.requirements[{index}].key",
                "leave it out: the pool's name is in the label karpenter.sh/nodepool",
                item["key"],
            )


def _provider(spec: _Tree) -> Iterator[Problem]:
    if "providerRef" in spec:
        ref = spec["providerRef"]
        name = ref.get("name", "…") if isinstance(ref, dict) else "…"
        yield _moved("spec.providerRef", f"spec.template.spec.nodeClassRef: {_class_ref(name)}", name)
    elif "provider" in spec:
        right = f"make an EC2NodeClass of it ({_CLASS}) and name that in spec.template.spec.nodeClassRef"
        yield _moved("spec.provider", right)
    else:
        yield Problem("spec.providerRef", "missing", right=f"spec.template.spec.nodeClassRef: {_class_ref('…')}")


def _class_ref(name: object) -> str:
    return f"{{group: karpenter.k8s.aws, kind: EC2NodeClass, name: {name}}}"


def _disruption(spec: _Tree) -> Iterator[Problem]:
    """When nodes go: three fields of a Provisioner became two places of a NodePool."""
    empty, consolidation = spec.get("ttlSecondsAfterEmpty"), spec.get("consolidation")
    if empty is not None:
        right = f"spec.disruption: {{consolidationPolicy: WhenEmpty, consolidateAfter: {duration(empty)}}}"
        yield _moved("spec.ttlSecondsAfterEmpty", right, empty)
    if isinstance(consolidation, dict):
        enabled = consolidation.get("enabled") is True
        policy = "WhenEmptyOrUnderutilized, consolidateAfter: 0s" if enabled else "WhenEmpty, consolidateAfter: Never"
        right = f"spec.disruption: {{consolidationPolicy: {policy}}}"
        yield _moved("spec.consolidation.enabled", right, str(enabled).lower())
    expired = spec.get("ttlSecondsUntilExpired")
    if expired is not None:
        yield _moved("spec.ttlSecondsUntilExpired", f"spec.template.spec.expireAfter: {duration(expired)}", expired)


def _kubelet(value: Any, path: str) -> Iterator[Problem]:
    yield _moved(path, "move it to spec.kubelet of the EC2NodeClass")
    if isinstance(value, dict) and "containerRuntime" in value:
        yield _moved(f"{path}.containerRuntime", "leave it out: containerd is the only one", value["containerRuntime"])


def duration(seconds: object) -> str:
    """Seconds as the shortest duration text: 604800 is `168h`, 90 is `90s`."""
    if not isinstance(seconds, int) or isinstance(seconds, bool):
        return f"{seconds}s"
    for unit, size in (("h", 3600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _machine(raw: _Tree, spec: _Tree) -> Iterator[Problem]:
    yield _old(raw, "NodeClaim", _POOL)
    if "machineTemplateRef" in spec:
        ref = spec["machineTemplateRef"]
        name = ref.get("name", "…") if isinstance(ref, dict) else "…"
        yield _moved("spec.machineTemplateRef", f"spec.nodeClassRef: {_class_ref(name)}", name)
    if "kubelet" in spec:
        yield from _kubelet(spec["kubelet"], "spec.kubelet")


def _node_template(raw: _Tree, spec: _Tree) -> Iterator[Problem]:
    yield _old(raw, "EC2NodeClass", _CLASS)
    for name in ("subnetSelector", "securityGroupSelector", "amiSelector"):
        if name in spec:
            yield _moved(f"spec.{name}", f"spec.{name}Terms: {_terms(spec[name])}")
        elif name != "amiSelector" and "launchTemplate" not in spec:
            yield Problem(f"spec.{name}", "missing", right=f"spec.{name}Terms is required")
    if "amiSelector" not in spec:
        yield from _ami_family(spec)
    if "launchTemplate" in spec:
        right = (
            "no longer supported: write its AMI as spec.amiSelectorTerms, its user data as spec.userData and its disks "
        )
        yield _moved("spec.launchTemplate", right + "as spec.blockDeviceMappings", spec["launchTemplate"])
    if not (spec.get("role") or spec.get("instanceProfile")):
        right = "spec.role (or spec.instanceProfile) is required: the global default is gone"
        yield Problem("spec.instanceProfile", "missing", right=right)


def _terms(selector: Any) -> str:
    """A map of tags, with Karpenter's special keys, as the list of terms that replaced it."""
    if not isinstance(selector, dict):
        return "[{tags: …}]"
    names = {str(key).replace("aws::", "aws-"): str(value) for key, value in selector.items()}
    if ids := names.pop("aws-ids", ""):
        return f"[{', '.join(f'{{id: {part.strip()}}}' for part in ids.split(','))}]"
    special = [f"{key}: {names.pop(f'aws-{old}')}" for old, key in _SPECIAL if f"aws-{old}" in names]
    tags = [f"tags: {_flow(names)}"] if names else []
    return f"[{{{', '.join(special + tags)}}}]"


_SPECIAL: Final = (("name", "name"), ("owners", "owner"))


def _flow(tree: Any) -> str:
    if not isinstance(tree, dict):
        return "…"
    return "{" + ", ".join(f"{key}: {value}" for key, value in tree.items()) + "}"


def _ami_family(spec: _Tree) -> Iterator[Problem]:
    """The family alone no longer says which image; an alias or a list of terms does."""
    family = "" if spec.get("amiFamily") is None else str(spec["amiFamily"])
    if family in _ALIASES:
        right = f"spec.amiSelectorTerms: [{{alias: {_ALIASES[family]}}}]"
        yield Problem("spec.amiFamily", "no longer chooses the image", seen=family, right=right)
    elif family in ("Ubuntu", "Custom"):
        right = "spec.amiSelectorTerms with the images' id, name or tags"
        yield Problem("spec.amiFamily", "no longer chooses the image", seen=family, right=right)
    else:
        right = "spec.amiSelectorTerms is required, such as [{alias: al2023@latest}]"
        yield Problem("spec.amiFamily", "not known" if family else "missing", seen=family, right=right)


def _pool_beta(raw: _Tree, spec: _Tree) -> Iterator[Problem]:
    yield _old(raw, "NodePool", _POOL)
    template = spec.get("template")
    inner = template.get("spec") if isinstance(template, dict) else None
    if isinstance(inner, dict):
        yield from _claim_fields(inner, "spec.template.spec")
    disruption = spec.get("disruption")
    if not isinstance(disruption, dict):
        return
    if "expireAfter" in disruption:
        value = disruption["expireAfter"]
        yield _moved("spec.disruption.expireAfter", f"spec.template.spec.expireAfter: {value}", value)
    if disruption.get("consolidationPolicy") == "WhenUnderutilized":
        right = "consolidationPolicy: WhenEmptyOrUnderutilized"
        yield _moved("spec.disruption.consolidationPolicy", right, "WhenUnderutilized")
    if "consolidateAfter" not in disruption:
        right = "required in v1; v1beta1 acted as 0s"
        yield Problem("spec.disruption.consolidateAfter", "missing", right=right)


def _claim_fields(spec: _Tree, path: str) -> Iterator[Problem]:
    ref = spec.get("nodeClassRef")
    if isinstance(ref, dict):
        name = ref.get("name", "…")
        group = str(ref["apiVersion"]).partition("/")[0] if "apiVersion" in ref else "karpenter.k8s.aws"
        if "apiVersion" in ref:
            yield _moved(f"{path}.nodeClassRef.apiVersion", f"group: {group}", ref["apiVersion"])
        if not {"group", "kind"} <= ref.keys() | ({"group"} if "apiVersion" in ref else set()):
            right = f"{path}.nodeClassRef: {_class_ref(name)}"
            yield Problem(f"{path}.nodeClassRef", "needs group, kind and name", seen=str(name), right=right)
    if "kubelet" in spec:
        yield from _kubelet(spec["kubelet"], f"{path}.kubelet")


def _claim_beta(raw: _Tree, spec: _Tree) -> Iterator[Problem]:
    yield _old(raw, "NodeClaim", _POOL)
    yield from _claim_fields(spec, "spec")


def _class_beta(raw: _Tree, spec: _Tree) -> Iterator[Problem]:
    yield _old(raw, "EC2NodeClass", _CLASS)
    if not spec.get("amiSelectorTerms"):
        yield from _ami_family(spec)
    elif spec.get("amiFamily") == "Ubuntu":
        yield _moved(
            "spec.amiFamily", "amiFamily: AL2 with Ubuntu's images, or Custom with your own user data", "Ubuntu"
        )


_READERS: Final[dict[tuple[str, str], Callable[[_Tree, _Tree], Iterator[Problem]]]] = {
    ("karpenter.sh", "Provisioner"): _provisioner,
    ("karpenter.sh", "Machine"): _machine,
    ("karpenter.k8s.aws", "AWSNodeTemplate"): _node_template,
    ("karpenter.sh/v1beta1", "NodePool"): _pool_beta,
    ("karpenter.sh/v1beta1", "NodeClaim"): _claim_beta,
    ("karpenter.k8s.aws/v1beta1", "EC2NodeClass"): _class_beta,
}
