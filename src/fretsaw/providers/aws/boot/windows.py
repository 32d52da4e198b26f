"""Windows: the user's PowerShell, then a call of the image's bootstrap script.

Source: Karpenter AWS provider v1.14 pkg/providers/amifamily/bootstrap (windows.go).
"""

from __future__ import annotations

from fretsaw.providers.aws.boot import kubelet
from fretsaw.providers.aws.boot.values import Boot

_SCRIPT = r'[string]$EKSBootstrapScriptFile = "$env:ProgramFiles\Amazon\EKS\Start-EKSBootstrap.ps1"'


def user_data(boot: Boot) -> str:
    """Disks are left to the user: RAID0 means nothing here."""
    cluster = boot.cluster
    dns = next(iter(boot.kubelet.get("clusterDNS") or ()), "")
    extra = kubelet.arguments(boot.labels, boot.taints, boot.kubelet)
    call = [
        f"& $EKSBootstrapScriptFile -EKSClusterName '{cluster.name}' -APIServerEndpoint '{cluster.endpoint}'",
        f"-Base64ClusterCA '{cluster.ca}'" if cluster.ca else "",
        f"-KubeletExtraArgs '{' '.join(extra)}'" if extra else "",
        f"-DNSClusterIP '{dns}'" if dns else "",
    ]
    own = f"{boot.custom}\n" if boot.custom else ""
    return f"<powershell>\n{own}{_SCRIPT}\n{' '.join(part for part in call if part)}\n</powershell>"
