"""Every pod template of the input: of the kinds that Kubernetes has, and inside those that operators have."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import msgspec

from fretsaw.api import rules
from fretsaw.api.decode import strip_nulls
from fretsaw.api.defaults import Defaults
from fretsaw.api.document import Document
from fretsaw.api.meta import ObjectMeta
from fretsaw.api.pod import Container, Pod, PodSpec, PodTemplateSpec
from fretsaw.api.workload import CronJob, PodTemplate
from fretsaw.engine.requests import pod_requests
from fretsaw.engine.requirements import Requirements
from fretsaw.engine.wishes import Wishes
from fretsaw.lint.market import DEVICES
from fretsaw.lint.tree import a_map, at, texts
from fretsaw.lint.views import View

DO_NOT_DISRUPT = "karpenter.sh/do-not-disrupt"
SPOT_NOTICE_S = 120
_TEMPLATES = {
    "Pod": "",
    "PodTemplate": "template",
    "CronJob": "spec.jobTemplate.spec.template",
    **dict.fromkeys(
        ("Deployment", "ReplicaSet", "ReplicationController", "StatefulSet", "DaemonSet", "Job"), "spec.template"
    ),
}
_SERVERS = (
    "Deployment",
    "ReplicaSet",
    "ReplicationController",
    "StatefulSet",
    "LeaderWorkerSet",
    "InferenceService",
    "RayService",
    "LLMInferenceService",
)
_TRAINERS = ("PyTorchJob", "TFJob", "TrainJob", "JAXJob", "XGBoostJob", "PaddleJob")
_TRAIN = re.compile(
    r"(?<![a-z])(pre)?train(ing|er)?(?![a-z])|torchrun|fine-?tun|deepspeed|horovodrun|accelerate launch"
)
_SERVE = re.compile(r"vllm|triton|text-generation|sglang|infer|serving|predictor|(?<![a-z])nim(?![a-z])|ollama")
_MEASURES = re.compile(r"nccl-?test|bandwidth|benchmark|all_reduce_perf|nvidia-smi")
"""What only looks how fast the machines are, and is over in minutes."""
_SHARED = ("nvidia.com/mig-", "nvidia.com/gpu.shared")
_FILL = Defaults({}, {})
_DEEPEST = 12


class Work(View):
    """A pod template, and how many of its pods there are."""

    def __init__(self, document: Document, template: PodTemplateSpec, prefix: str, copies: int) -> None:
        super().__init__(document)
        self.template = _FILL.template(template)
        self.given = template.spec
        """The pod's spec as it is written, without requests that limits stand for."""
        self.prefix = prefix
        self.copies = copies
        """Pods at the same time."""

    @property
    def spec(self) -> PodSpec:
        """The pod's spec, requests filled in."""
        return self.template.spec

    def path(self, rest: str) -> str:
        """A field of the template from the top of the document: `spec…` or `metadata…`."""
        return f"{self.prefix}.{rest}" if self.prefix else rest

    def container_path(self, number: int, rest: str = "") -> str:
        """A field of a container."""
        return self.path(f"spec.containers[{number}]{'.' if rest else ''}{rest}")

    @cached_property
    def pod_labels(self) -> dict[str, str]:
        """The labels of its pods."""
        return self.template.metadata.labels

    @cached_property
    def pod_annotations(self) -> dict[str, str]:
        """The annotations of its pods."""
        return self.template.metadata.annotations

    @cached_property
    def requests(self) -> dict[str, int]:
        """What a pod asks for, in base units."""
        return pod_requests(self.spec)

    @cached_property
    def alternatives(self) -> tuple[Requirements, ...]:
        """What its pods ask of a node's labels, one of several where there are several terms."""
        return Wishes.of(self.spec, respect_preferences=False).alternatives()

    @cached_property
    def devices(self) -> dict[str, int]:
        """The accelerators that a pod asks for, by resource; shared ones and parts of them, too."""
        return {
            resource: amount
            for resource, amount in self.requests.items()
            if amount > 0 and (resource in DEVICES or resource.startswith((*_SHARED, "aws.amazon.com/neuron")))
        }

    @property
    def gpus(self) -> int:
        """Whole NVIDIA GPUs of a pod."""
        return self.devices.get("nvidia.com/gpu", 0)

    @property
    def is_daemon(self) -> bool:
        """Whether it runs once on every node."""
        return self.kind == "DaemonSet"

    @cached_property
    def raw_spec(self) -> dict[str, Any]:
        """The pod's spec as a plain tree."""
        return a_map(at(self.raw, *_steps(self.prefix), "spec"))

    @cached_property
    def words(self) -> str:
        """Names, images and commands, to be searched for what it does."""
        parts = [self.name, self.namespace, *self.pod_labels.values()]
        for container in self.given.containers:
            parts += [container.name, container.image, *container.command, *container.args]
        return " ".join(parts).lower()

    @property
    def trains(self) -> bool:
        """Whether it is a training run on accelerators."""
        if not self.devices or self.is_daemon:
            return False
        if self.kind in _TRAINERS or _MEASURES.search(self.words):
            return not _MEASURES.search(self.words)
        if self.kind in _SERVERS or (_SERVE.search(self.words) and not re.search("torchrun|deepspeed", self.words)):
            return False
        return _TRAIN.search(self.words) is not None

    @property
    def serves(self) -> bool:
        """Whether it is a server on accelerators."""
        if not self.devices or _MEASURES.search(self.words):
            return False
        listens = any(container.ports or container.readiness_probe for container in self.given.containers)
        said = _SERVE.search(self.words) is not None
        return (listens or said) if self.kind in _SERVERS else said and self.kind == "Pod"

    @property
    def is_job(self) -> bool:
        """Whether it is a Job or a CronJob of Kubernetes itself."""
        return self.kind in ("Job", "CronJob") and self.document.api_version.startswith("batch/")

    @property
    def runs_to_an_end(self) -> bool:
        """Whether its pods end by themselves."""
        return self.kind in ("Job", "CronJob", *_TRAINERS, "MPIJob", "RayJob") or (
            self.kind == "Pod" and self.spec.restart_policy in ("Never", "OnFailure")
        )

    @property
    def is_protected(self) -> bool:
        """Whether its pods ask not to be disrupted."""
        return self.pod_annotations.get(DO_NOT_DISRUPT) == "true"

    @property
    def grace_s(self) -> int:
        """How long its pods may take to end."""
        grace = self.spec.termination_grace_period_seconds
        return 30 if grace is None else grace

    def argument(self, container: Container, *names: str) -> str | None:
        """The value of a command-line option, whether written as one word or as two; None where it is not given."""
        words = _words(container)
        for number, word in enumerate(words):
            option, equals, value = word.partition("=")
            if option in names:
                if equals:
                    return value
                return words[number + 1] if number + 1 < len(words) else ""
        return None


def _words(container: Container) -> list[str]:
    """Command and arguments as words, those of a shell's script too."""
    words: list[str] = []
    for part in (*container.command, *container.args):
        words += re.sub(r"\\\n", " ", part).split() if re.search(r"\s", part) else [part]
    return [word.strip("'\"") for word in words]


def _steps(path: str) -> list[str | int]:
    """A path of plain keys and indices as steps."""
    parts = re.findall(r"[^.\[\]]+|\[\d+\]", path)
    return [int(part[1:-1]) if part.startswith("[") else part for part in parts]


def works_of(document: Document) -> Iterator[Work]:
    """The pod templates of a document."""
    if document.kind in _TEMPLATES and document.obj is not None:
        yield Work(document, _template(document.obj), _TEMPLATES[document.kind], _copies(document))
    elif document.kind and document.known is None and isinstance(document.raw, dict):
        yield from _hidden(document, document.raw, "", 1, 0)


def _template(obj: Any) -> PodTemplateSpec:
    if isinstance(obj, Pod):
        return PodTemplateSpec(obj.metadata, obj.spec)
    if isinstance(obj, CronJob):
        return obj.spec.job_template.spec.template
    found: PodTemplateSpec = obj.template if isinstance(obj, PodTemplate) else obj.spec.template
    return found


def _copies(document: Document) -> int:
    spec = at(document.raw, "spec")
    if document.kind == "CronJob":
        spec = at(spec, "jobTemplate", "spec")
    if document.kind in ("Job", "CronJob"):
        at_once, whole = _count(at(spec, "parallelism"), 1), at(spec, "completions")
        return min(at_once, _count(whole, at_once)) if whole is not None else at_once
    return _count(at(spec, "replicas"), 1) if document.kind not in ("Pod", "PodTemplate") else 1


def _count(value: Any, otherwise: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else otherwise


def _hidden(document: Document, tree: Any, path: str, copies: int, depth: int) -> Iterator[Work]:
    """Templates inside an object of an operator: maps whose `spec` has containers."""
    if depth > _DEEPEST:
        return
    if isinstance(tree, list):
        for number, item in enumerate(tree):
            yield from _hidden(document, item, f"{path}[{number}]", copies, depth + 1)
    if not isinstance(tree, dict):
        return
    if path and isinstance(at(tree, "spec", "containers", 0), dict):
        template = _sound(tree)
        if template is not None:
            yield Work(document, template, path, copies)
        return
    copies = _count(tree.get("replicas"), copies) * _count(at(tree, "leaderWorkerTemplate", "size"), 1)
    for key, value in tree.items():
        if key not in ("metadata", "status") and isinstance(key, str) and "." not in key:
            yield from _hidden(document, value, f"{path}.{key}" if path else key, copies, depth + 1)


def _sound(tree: dict[str, Any]) -> PodTemplateSpec | None:
    """The template that a tree is; None where an API server would refuse its pods."""
    try:
        template = msgspec.convert(strip_nulls(tree), PodTemplateSpec)
        pod_requests(_FILL.template(template).spec)
        Wishes.of(template.spec).alternatives()
    except (msgspec.ValidationError, ValueError):
        return None
    problems = rules.check(Pod(ObjectMeta(name="pod"), template.spec))
    return None if any(problem.severity == "error" for problem in problems) else template


def env_names(work: Work, number: int) -> set[str]:
    """The names of a container's variables; with `envFrom`, `*` is among them."""
    container = a_map(at(work.raw_spec, "containers", number))
    names = {str(at(item, "name")) for item in container.get("env") or () if isinstance(item, dict)}
    return names | ({"*"} if container.get("envFrom") else set())


def selected(selector: Any, labels: dict[str, str]) -> bool:
    """Whether the `matchLabels` of a selector match; expressions are taken to match."""
    wanted = texts(at(selector, "matchLabels"))
    return bool(wanted or at(selector, "matchExpressions")) and all(labels.get(k) == v for k, v in wanted.items())
