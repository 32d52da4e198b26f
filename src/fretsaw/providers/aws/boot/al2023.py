"""Amazon Linux 2023: a NodeConfig for nodeadm, after the user's own, so that ours wins.

Source: Karpenter AWS provider v1.14 pkg/providers/amifamily/bootstrap (nodeadm.go).
"""

from __future__ import annotations

from typing import Any

import yaml

from fretsaw.providers.aws.boot import mime
from fretsaw.providers.aws.boot.values import Boot

_HEAD = "# Karpenter Generated NodeConfig\n"


def user_data(boot: Boot) -> str:
    """Raises NotMultipart for custom data that claims to be MIME without parts."""
    return mime.joined((*_custom(boot.custom), mime.Part(mime.NODE_CONFIG, _HEAD + _yaml(node_config(boot)))))


def _custom(text: str) -> tuple[mime.Part, ...]:
    """MIME as it is, but for headers beside the type; a mapping is a NodeConfig; all else is a script."""
    text = text.replace("\r\n", "\n")
    if not text.strip():
        return ()
    if mime.is_mime(text):
        return mime.parts(text)
    return (mime.Part(mime.NODE_CONFIG if _is_mapping(text) else mime.SHELL, text),)


def _is_mapping(text: str) -> bool:
    try:
        return isinstance(yaml.safe_load(text), dict)
    except yaml.YAMLError:
        return False


def node_config(boot: Boot) -> dict[str, Any]:
    """What nodeadm reads."""
    cluster = boot.cluster
    taints = [
        {"effect": one.effect, "key": one.key, **({"value": one.value} if one.value else {})} for one in boot.taints
    ]
    labels = ",".join(f"{key}={value}" for key, value in boot.labels.items())
    return {
        "apiVersion": "node.eks.aws/v1alpha1",
        "kind": "NodeConfig",
        "metadata": {},
        "spec": {
            "cluster": {
                "name": cluster.name,
                "apiServerEndpoint": cluster.endpoint,
                "certificateAuthority": cluster.ca,
                "cidr": cluster.cidr,
            },
            "containerd": {},
            "instance": {"localStorage": {"strategy": "RAID0"} if boot.raid0 else {}},
            "kubelet": {
                "config": {**boot.kubelet, "registerWithTaints": taints},
                "flags": [f'--node-labels="{labels}"'] if labels else [],
            },
        },
    }


class _Dumper(yaml.SafeDumper):
    """Without anchors: equal lists are written twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _yaml(value: Any) -> str:
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=True, default_flow_style=False, width=2**31)
    return text
