"""Amazon Linux 2: a script that calls the image's bootstrap.sh, after the user's own parts.

Source: Karpenter AWS provider v1.14 pkg/providers/amifamily/bootstrap (eksbootstrap.go).
"""

from __future__ import annotations

from fretsaw.providers.aws.boot import kubelet, mime
from fretsaw.providers.aws.boot.values import Boot

_HEAD = """#!/bin/bash -xe
exec > >(tee /var/log/user-data.log|logger -t user-data -s 2>/dev/console) 2>&1
"""


def user_data(boot: Boot) -> str:
    """Raises NotMultipart for custom data that claims to be MIME without parts."""
    own = boot.custom.replace("\r", "")
    found: tuple[mime.Part, ...] = ()
    if own.strip():
        found = mime.parts(own, headers=True) if mime.is_mime(own) else (mime.Part(mime.SHELL, own),)
    return mime.joined((*found, mime.Part(mime.SHELL, _script(boot))))


def _script(boot: Boot) -> str:
    cluster = boot.cluster
    first = f"/etc/eks/bootstrap.sh '{cluster.name}' --apiserver-endpoint '{cluster.endpoint}'"
    if cluster.ca:
        first += f" --b64-cluster-ca '{cluster.ca}'"
    lines = [first, *_options(boot)]
    return _HEAD + " \\\n".join(lines)


def _options(boot: Boot) -> list[str]:
    dns = next(iter(boot.kubelet.get("clusterDNS") or ()), "")
    extra = kubelet.arguments(boot.labels, boot.taints, boot.kubelet)
    lines = [
        "--ip-family ipv6" if ":" in dns else "",
        f"--dns-cluster-ip '{dns}'" if dns else "",
        "--use-max-pods false",
        f"--kubelet-extra-args '{' '.join(extra)}'" if extra else "",
        "--local-disks raid0" if boot.raid0 else "",
    ]
    return [line for line in lines if line]
