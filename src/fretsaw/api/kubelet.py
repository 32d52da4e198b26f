"""What the controllers check of an EC2NodeClass's `spec.kubelet`, which the API server takes as it comes.

Source: AWS provider v1.14 kubelet validation; field names and types of k8s.io/kubelet v0.36.3 KubeletConfiguration.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import Any, Final

from fretsaw.api.decode import seen as shown
from fretsaw.api.problem import Problem
from fretsaw.api.resources import BadDuration, BadQuantity, duration_ns, parse
from fretsaw.api.runtime import refused

Tree = dict[str, Any]
_ROOT: Final = "spec.kubelet"

_BY_TYPE: Final = {
    "bool": "cgroupsPerQOS cpuCFSQuota enableContentionProfiling enableControllerAttachDetach "
    "enableDebugFlagsHandler enableDebuggingHandlers enableProfilingHandler enableServer "
    "enableSystemLogHandler enableSystemLogQuery failCgroupV1 failSwapOn kernelMemcgNotification "
    "localStorageCapacityIsolation makeIPTablesUtilChains mergeDefaultEvictionSettings "
    "protectKernelDefaults registerNode rotateCertificates runOnce seccompDefault "
    "serializeImagePulls serverTLSBootstrap singleProcessOOMKill",
    "int32": "containerLogMaxFiles containerLogMaxWorkers eventBurst eventRecordQPS evictionMaxPodGracePeriod "
    "healthzPort imageGCHighThresholdPercent imageGCLowThresholdPercent iptablesDropBit "
    "iptablesMasqueradeBit kubeAPIBurst kubeAPIQPS maxParallelImagePulls maxPods "
    "nodeLeaseDurationSeconds nodeStatusMaxImages oomScoreAdj podsPerCore port readOnlyPort "
    "registryBurst registryPullQPS",
    "int64": "maxOpenFiles podPidsLimit",
    "float": "memoryThrottlingFactor",
    "string": "address apiVersion cgroupDriver cgroupRoot clusterDomain "
    "configMapAndSecretChangeDetectionStrategy containerLogMaxSize containerRuntimeEndpoint "
    "contentType cpuManagerPolicy hairpinMode healthzBindAddress "
    "imagePullCredentialsVerificationPolicy imageServiceEndpoint kind kubeReservedCgroup "
    "kubeletCgroups memoryManagerPolicy memoryReservationPolicy podCIDR podLogsDir providerID "
    "reservedSystemCPUs resolvConf showHiddenMetricsForVersion staticPodPath staticPodURL "
    "systemCgroups systemReservedCgroup tlsCertFile tlsMinVersion tlsPrivateKeyFile "
    "topologyManagerPolicy topologyManagerScope volumePluginDir",
    "duration": "containerLogMonitorInterval cpuCFSQuotaPeriod cpuManagerReconcilePeriod "
    "evictionPressureTransitionPeriod fileCheckFrequency httpCheckFrequency imageMaximumGCAge "
    "imageMinimumGCAge nodeStatusReportFrequency nodeStatusUpdateFrequency runtimeRequestTimeout "
    "shutdownGracePeriod shutdownGracePeriodCriticalPods streamingConnectionIdleTimeout "
    "syncFrequency volumeStatsAggPeriod",
    "[string]": "allowedUnsafeSysctls clusterDNS enforceNodeAllocatable preloadedImagesVerificationAllowlist "
    "tlsCipherSuites",
    "[int32]": "tlsCurvePreferences",
    "{string}": "cpuManagerPolicyOptions evictionHard evictionMinimumReclaim evictionSoft "
    "evictionSoftGracePeriod kubeReserved qosReserved systemReserved topologyManagerPolicyOptions",
    "{bool}": "featureGates",
    "{[string]}": "staticPodURLHeader",
    "[any]": "registerWithTaints",
}
_NESTED: Final[Tree] = {
    "authentication": {
        "anonymous": {"enabled": "bool"},
        "webhook": {"cacheTTL": "duration", "enabled": "bool"},
        "x509": {"clientCAFile": "string"},
    },
    "authorization": {
        "mode": "string",
        "webhook": {"cacheAuthorizedTTL": "duration", "cacheUnauthorizedTTL": "duration"},
    },
    "crashLoopBackOff": {"maxContainerRestartPeriod": "duration"},
    "logging": {
        "flushFrequency": "any",
        "format": "string",
        "options": {
            "json": {"infoBufferSize": "any", "splitStream": "bool"},
            "text": {"infoBufferSize": "any", "splitStream": "bool"},
        },
        "verbosity": "int32",
        "vmodule": [{"filePattern": "string", "verbosity": "int32"}],
    },
    "memorySwap": {"swapBehavior": "string"},
    "reservedMemory": [{"limits": "{any}", "numaNode": "int32"}],
    "shutdownGracePeriodByPodPriority": [{"priority": "int32", "shutdownGracePeriodSeconds": "int64"}],
    "tracing": {"endpoint": "string", "samplingRatePerMillion": "int32"},
    "userNamespaces": {"idsPerPod": "int64"},
}
FIELDS: Final[Tree] = {name: kind for kind, names in _BY_TYPE.items() for name in names.split()} | _NESTED
"""Every field of KubeletConfiguration and its type: a word, `[…]` a list, `{…}` a map, or its own fields."""

MANAGED: Final = frozenset(
    {
        "clusterDNS",
        "cpuCFSQuota",
        "evictionHard",
        "evictionMaxPodGracePeriod",
        "evictionSoft",
        "evictionSoftGracePeriod",
        "imageGCHighThresholdPercent",
        "imageGCLowThresholdPercent",
        "kubeReserved",
        "maxPods",
        "podsPerCore",
        "systemReserved",
    }
)
"""The fields that every image family renders."""

_SIGNALS: Final = (
    "imagefs.available",
    "imagefs.inodesFree",
    "memory.available",
    "nodefs.available",
    "nodefs.inodesFree",
    "pid.available",
)
_RESERVABLE: Final = ("cpu", "ephemeral-storage", "memory", "pid")
_PERCENT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)%", re.ASCII)
_WORDS: Final = {
    "bool": "true or false",
    "int32": "a whole number",
    "int64": "a whole number",
    "float": "a number",
    "string": "a string",
    "duration": "a duration such as 1m30s",
}


def problems(kubelet: Tree, family: str) -> Iterator[Problem]:
    """Problems of `spec.kubelet`; family: the image family that renders it, empty when it is not known."""
    yield from _fields(kubelet, FIELDS, _ROOT)
    if "registerWithTaints" in kubelet:
        yield refused(f"{_ROOT}.registerWithTaints", "may not be set", right="the NodePool's taints are registered")
    for name in ("evictionHard", "evictionSoft", "evictionMinimumReclaim"):
        yield from _signals(kubelet, name, _amount)
    yield from _signals(kubelet, "evictionSoftGracePeriod", _grace)
    yield from _soft_pairs(kubelet)
    for name in ("kubeReserved", "systemReserved"):
        yield from _reserved(kubelet, name)
    yield from _numbers(kubelet)
    yield from _expressions(kubelet)
    yield from _family(kubelet, family)


def _fields(tree: Any, fields: Tree, path: str) -> Iterator[Problem]:
    """Strict decoding: no unknown field, no wrong type. A text as maxPods is an expression and looked at later."""
    if not isinstance(tree, dict):
        yield _mistyped(path, "a map", tree)
        return
    for name, value in tree.items():
        here = f"{path}.{name}"
        if name not in fields:
            near = difflib.get_close_matches(str(name), list(fields), n=1)
            yield refused(here, "unknown field", right=f'did you mean "{near[0]}"?' if near else "")
        elif value is not None and not (here == f"{_ROOT}.maxPods" and isinstance(value, str)):
            yield from _typed(value, fields[name], here)


def _typed(value: Any, kind: Any, path: str) -> Iterator[Problem]:
    if isinstance(kind, dict):
        yield from _fields(value, kind, path)
    elif isinstance(kind, list):
        yield from _items(value, kind[0], path)
    elif kind[0] == "[":
        yield from _items(value, kind[1:-1], path)
    elif kind[0] == "{":
        if not isinstance(value, dict):
            yield _mistyped(path, "a map", value)
        else:
            for key, item in value.items():
                yield from _typed(item, kind[1:-1], f"{path}.{key}")
    elif kind != "any" and not _is_a(value, kind):
        yield _mistyped(path, _WORDS[kind], value)


def _items(value: Any, kind: Any, path: str) -> Iterator[Problem]:
    if not isinstance(value, list):
        yield _mistyped(path, "a list", value)
        return
    for index, item in enumerate(value):
        yield from _typed(item, kind, f"{path}[{index}]")


def _mistyped(path: str, words: str, value: Any) -> Problem:
    quoted = words == "a string" and isinstance(value, int | float) and not isinstance(value, bool)
    return refused(path, f"must be {words}", seen=shown(value), right=f'put it in quotes: "{value}"' if quoted else "")


def _is_a(value: Any, kind: str) -> bool:
    if kind in ("int32", "int64"):
        bits = 31 if kind == "int32" else 63
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        return whole and not isinstance(value, bool) and -(2**bits) <= value < 2**bits
    if kind == "duration":
        return isinstance(value, str) and _duration(value) is not None
    if kind == "float":
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, bool if kind == "bool" else str)


def _duration(text: str) -> int | None:
    try:
        return duration_ns(text)
    except BadDuration:
        return None


def _texts(kubelet: Tree, name: str) -> dict[str, str]:
    """The entries of a map that are texts; the others are reported as mistyped."""
    entries = kubelet.get(name)
    if not isinstance(entries, dict):
        return {}
    return {key: value for key, value in entries.items() if isinstance(value, str)}


def _signals(kubelet: Tree, name: str, wrong: Any) -> Iterator[Problem]:
    for signal, text in _texts(kubelet, name).items():
        here = f"{_ROOT}.{name}.{signal}"
        if signal not in _SIGNALS:
            yield refused(here, "unknown eviction signal", seen=signal, right=f"known: {', '.join(_SIGNALS)}")
        if (right := wrong(text)) is not None:
            yield refused(here, "has the wrong form", seen=shown(text), right=right)


def _amount(text: str) -> str | None:
    """What would be right in place of a threshold, or None when it is right."""
    if text.endswith("%"):
        percent = float(text[:-1]) if _PERCENT.fullmatch(text) else -1.0
        return None if 0 <= percent <= 100 else "a percentage from 0% to 100%"
    try:
        return None if parse(text) >= 0 else "zero or more"
    except BadQuantity as error:
        return error.right


def _grace(text: str) -> str | None:
    nanos = _duration(text)
    if nanos is None:
        return "a duration with a unit, such as 1m30s"
    return None if nanos >= 0 else "zero or more"


def _soft_pairs(kubelet: Tree) -> Iterator[Problem]:
    soft, grace = _texts(kubelet, "evictionSoft"), _texts(kubelet, "evictionSoftGracePeriod")
    for signal in sorted(soft.keys() - grace.keys()):
        right = f"give {signal} in evictionSoftGracePeriod too"
        yield refused(f"{_ROOT}.evictionSoft.{signal}", "has no matching grace period", right=right)
    for signal in sorted(grace.keys() - soft.keys()):
        right = f"give {signal} in evictionSoft too"
        yield refused(f"{_ROOT}.evictionSoftGracePeriod.{signal}", "has no matching threshold", right=right)


def _reserved(kubelet: Tree, name: str) -> Iterator[Problem]:
    for resource, text in _texts(kubelet, name).items():
        here = f"{_ROOT}.{name}.{resource}"
        if resource not in _RESERVABLE:
            yield refused(here, "cannot be reserved", seen=resource, right=f"known: {', '.join(_RESERVABLE)}")
        if text.startswith("-"):
            yield refused(here, "must not be negative", seen=shown(text), right="zero or more")


def _numbers(kubelet: Tree) -> Iterator[Problem]:
    def number(name: str) -> int | None:
        value = kubelet.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    high, low = number("imageGCHighThresholdPercent"), number("imageGCLowThresholdPercent")
    for name, value in (("imageGCHighThresholdPercent", high), ("imageGCLowThresholdPercent", low)):
        if value is not None and not 0 <= value <= 100:
            yield refused(f"{_ROOT}.{name}", "is no percentage", seen=str(value), right="0 to 100")
    if high is not None and low is not None and high <= low:
        right = f"more than imageGCLowThresholdPercent, {low}"
        yield refused(f"{_ROOT}.imageGCHighThresholdPercent", "is too low", seen=str(high), right=right)
    for name in ("podsPerCore", "evictionMaxPodGracePeriod", "maxPods"):
        value = number(name)
        if value is not None and value < 0:
            yield refused(f"{_ROOT}.{name}", "must not be negative", seen=str(value), right="zero or more")


def _expressions(kubelet: Tree) -> Iterator[Problem]:
    """Texts that can only be CEL expressions, which the gate NodeClassCEL (off by default) would allow."""
    message = "is taken for an expression, and the feature gate NodeClassCEL is off"
    if isinstance(text := kubelet.get("maxPods"), str):
        right = f"without quotes: {text}" if text.isdecimal() else "a whole number"
        yield refused(f"{_ROOT}.maxPods", message, seen=shown(text), right=right)
    for name in ("kubeReserved", "systemReserved"):
        for resource, text in _texts(kubelet, name).items():
            try:
                parse(text)
            except BadQuantity as error:
                yield refused(f"{_ROOT}.{name}.{resource}", message, seen=shown(text), right=error.right)


def _family(kubelet: Tree, family: str) -> Iterator[Problem]:
    """What the family's bootstrap cannot render; AL2023 renders all, Custom nothing."""
    if family in ("", "AL2023", "Custom"):
        return
    for name in sorted(kubelet):
        if name in FIELDS and name not in MANAGED:
            right = f"AL2023 renders it; for {family}: {', '.join(sorted(MANAGED))}"
            yield refused(f"{_ROOT}.{name}", f"is not supported by {family}", right=right)
    servers = kubelet.get("clusterDNS")
    if isinstance(servers, list) and len(servers) > 1:
        yield refused(f"{_ROOT}.clusterDNS", f"{family} takes one DNS server", seen=str(len(servers)), right="one")
    if family == "Bottlerocket" and kubelet.get("podsPerCore") is not None:
        yield refused(f"{_ROOT}.podsPerCore", "is not supported by Bottlerocket", right="use maxPods")
