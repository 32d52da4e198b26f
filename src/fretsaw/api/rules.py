"""What an API server checks of core objects beyond field types, as far as placement depends on it.

Source: Kubernetes v1.36 pkg/apis/*/validation; kubernetes.io. Custom resources have `api.validate`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from fretsaw.api import autoscaling, node, pod, policy, storage, workload
from fretsaw.api.labels import is_label_value, is_qualified_name, is_subdomain
from fretsaw.api.meta import LabelSelector, Object, ObjectMeta
from fretsaw.api.problem import Problem
from fretsaw.api.rules_autoscaling import autoscaler
from fretsaw.api.rules_pod import claim_template, pod_spec, taint_effect
from fretsaw.api.rules_resources import amounts
from fretsaw.api.rules_text import choice, labels, selector, wrong

_COUNT = re.compile(r"[0-9]+%?", re.ASCII)
_MAX_PRIORITY: Final = 1_000_000_000


def check(obj: Object) -> list[Problem]:
    """Every rule that an object breaks; its types are right already."""
    found = list(_metadata(obj.metadata))
    rule = _RULES.get(type(obj))
    if rule is not None:
        found.extend(rule(obj))
    return found


def _metadata(metadata: ObjectMeta) -> Iterator[Problem]:
    if metadata.name:
        if not is_subdomain(metadata.name):
            yield wrong("metadata.name", "not a valid name", metadata.name, "lower-case letters, digits, - and .")
    elif metadata.generate_name:
        if not is_subdomain(metadata.generate_name.rstrip("-.") or "-"):
            yield wrong("metadata.generateName", "not a valid name", metadata.generate_name)
    else:
        yield Problem("metadata.name", "missing", by="rule", right="every object needs a name")
    if metadata.namespace and ("." in metadata.namespace or not is_subdomain(metadata.namespace)):
        yield wrong("metadata.namespace", "not a valid namespace", metadata.namespace)
    if metadata.labels:
        yield from labels("metadata.labels", metadata.labels)


def _pod(obj: pod.Pod) -> Iterator[Problem]:
    yield from pod_spec(obj.spec, "spec")
    if obj.spec.node_name and obj.spec.scheduling_gates:
        yield wrong("spec.nodeName", "cannot be set while the pod has scheduling gates", obj.spec.node_name)


def _template(template: pod.PodTemplateSpec, path: str, restart: tuple[str, ...] = ("Always",)) -> Iterator[Problem]:
    """A workload's pod, which has to restart in one of the ways given."""
    yield from labels(f"{path}.metadata.labels", template.metadata.labels)
    yield from pod_spec(template.spec, f"{path}.spec")
    policy_ = template.spec.restart_policy or "Always"
    if policy_ not in restart and policy_ in ("Always", "OnFailure", "Never"):
        yield choice(f"{path}.spec.restartPolicy", policy_, restart)


def _count(value: int | None, path: str) -> Iterator[Problem]:
    if value is not None and not 0 <= value < 2**31:
        yield wrong(path, "must be between 0 and 2147483647", str(value))


def _selected(select: LabelSelector | None, template: pod.PodTemplateSpec) -> Iterator[Problem]:
    """A workload's selector must be there, be valid and match its own pods."""
    if select is None or not (select.match_labels or select.match_expressions):
        yield wrong("spec.selector", "missing or empty", "", "a selector that matches the template's labels")
        return
    broken = list(selector(select, "spec.selector"))
    yield from broken
    if not broken and not select.matches(template.metadata.labels):
        have = ", ".join(f"{key}={value}" for key, value in sorted(template.metadata.labels.items()))
        yield wrong("spec.selector", "does not match the template's labels", have or "no labels")


def _deployment(obj: workload.Deployment | workload.ReplicaSet) -> Iterator[Problem]:
    yield from _count(obj.spec.replicas, "spec.replicas")
    yield from _selected(obj.spec.selector, obj.spec.template)
    yield from _template(obj.spec.template, "spec.template")


def _replication(obj: workload.ReplicationController) -> Iterator[Problem]:
    yield from _count(obj.spec.replicas, "spec.replicas")
    yield from _template(obj.spec.template, "spec.template")


def _stateful(obj: workload.StatefulSet) -> Iterator[Problem]:
    yield from _count(obj.spec.replicas, "spec.replicas")
    yield from _selected(obj.spec.selector, obj.spec.template)
    yield from _template(obj.spec.template, "spec.template")
    for index, template in enumerate(obj.spec.volume_claim_templates):
        yield from claim_template(template, f"spec.volumeClaimTemplates[{index}]", named=True)


def _daemon(obj: workload.DaemonSet) -> Iterator[Problem]:
    yield from _selected(obj.spec.selector, obj.spec.template)
    yield from _template(obj.spec.template, "spec.template")


def _job_spec(spec: workload.JobSpec, path: str) -> Iterator[Problem]:
    yield from _count(spec.parallelism, f"{path}.parallelism")
    yield from _count(spec.completions, f"{path}.completions")
    if spec.completion_mode not in ("NonIndexed", "Indexed"):
        yield choice(f"{path}.completionMode", spec.completion_mode, ("NonIndexed", "Indexed"))
    if spec.completion_mode == "Indexed" and spec.completions is None:
        yield Problem(f"{path}.completions", "missing", by="rule", right="an Indexed job needs it")
    yield from _template(spec.template, f"{path}.template", ("OnFailure", "Never"))


def _job(obj: workload.Job) -> Iterator[Problem]:
    yield from _job_spec(obj.spec, "spec")


def _cron_job(obj: workload.CronJob) -> Iterator[Problem]:
    if not obj.spec.schedule:
        yield Problem("spec.schedule", "missing", by="rule", right="a schedule such as 0 3 * * *")
    yield from _job_spec(obj.spec.job_template.spec, "spec.jobTemplate.spec")


def _pod_template(obj: workload.PodTemplate) -> Iterator[Problem]:
    yield from _template(obj.template, "template", ("Always", "OnFailure", "Never"))


def _node(obj: node.Node) -> Iterator[Problem]:
    for index, taint in enumerate(obj.spec.taints):
        path = f"spec.taints[{index}]"
        if not is_qualified_name(taint.key):
            yield wrong(f"{path}.key", "not a valid taint key", taint.key)
        if taint.value and not is_label_value(taint.value):
            yield wrong(f"{path}.value", "not a valid taint value", taint.value)
        yield from taint_effect(f"{path}.effect", taint.effect, required=True)
    yield from amounts("status.capacity", obj.status.capacity)
    yield from amounts("status.allocatable", obj.status.allocatable)


def _budget(obj: policy.PodDisruptionBudget) -> Iterator[Problem]:
    fields = (("minAvailable", obj.spec.min_available), ("maxUnavailable", obj.spec.max_unavailable))
    for name, value in fields:
        if value is None:
            continue
        if isinstance(value, int):
            yield from _count(value, f"spec.{name}")
        elif not _COUNT.fullmatch(value) or not value.endswith("%"):
            yield wrong(f"spec.{name}", "must be a number or a percentage", value, 'such as 1 or "25%"')
        elif int(value[:-1]) > 100:
            yield wrong(f"spec.{name}", "must be at most 100%", value)
    if obj.spec.min_available is not None and obj.spec.max_unavailable is not None:
        yield wrong("spec.maxUnavailable", "cannot be set together with minAvailable", str(obj.spec.max_unavailable))
    if obj.spec.selector is not None:
        yield from selector(obj.spec.selector, "spec.selector")


def _priority(obj: policy.PriorityClass) -> Iterator[Problem]:
    if abs(obj.value) > _MAX_PRIORITY and not obj.name.startswith("system-"):
        yield wrong("value", "user classes go from -1000000000 to 1000000000", str(obj.value))
    if obj.preemption_policy not in ("Never", "PreemptLowerPriority"):
        yield choice("preemptionPolicy", obj.preemption_policy, ("PreemptLowerPriority", "Never"))


def _runtime(obj: policy.RuntimeClass) -> Iterator[Problem]:
    if obj.overhead is not None:
        yield from amounts("overhead.podFixed", obj.overhead.pod_fixed)


def _storage_class(obj: storage.StorageClass) -> Iterator[Problem]:
    modes = ("Immediate", "WaitForFirstConsumer")
    if obj.volume_binding_mode not in modes:
        yield choice("volumeBindingMode", obj.volume_binding_mode, modes)
    if not obj.provisioner:
        yield Problem("provisioner", "missing", by="rule", right="such as ebs.csi.aws.com")


def _claim(obj: storage.PersistentVolumeClaim) -> Iterator[Problem]:
    yield from claim_template(pod.VolumeClaimTemplate(obj.metadata, obj.spec), "")


def _volume(obj: storage.PersistentVolume) -> Iterator[Problem]:
    yield from amounts("spec.capacity", obj.spec.capacity)


_RULES: Final[dict[type[Object], Callable[[Any], Iterator[Problem]]]] = {
    pod.Pod: _pod,
    workload.Deployment: _deployment,
    workload.ReplicaSet: _deployment,
    workload.ReplicationController: _replication,
    workload.StatefulSet: _stateful,
    workload.DaemonSet: _daemon,
    workload.Job: _job,
    workload.CronJob: _cron_job,
    workload.PodTemplate: _pod_template,
    node.Node: _node,
    autoscaling.HorizontalPodAutoscaler: autoscaler,
    policy.PodDisruptionBudget: _budget,
    policy.PriorityClass: _priority,
    policy.RuntimeClass: _runtime,
    storage.StorageClass: _storage_class,
    storage.PersistentVolumeClaim: _claim,
    storage.PersistentVolume: _volume,
}
