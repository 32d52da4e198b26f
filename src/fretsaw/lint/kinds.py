"""Small questions that several rules ask of the views."""

from __future__ import annotations

import re

from fretsaw.api.labels import CAPACITY_TYPE
from fretsaw.lint.found import Append, Edit, Set
from fretsaw.lint.given import Input
from fretsaw.lint.placing import Landing
from fretsaw.lint.tree import maps
from fretsaw.lint.work import Work


def tolerating(work: Work, key: str) -> tuple[Edit, ...]:
    """The edit that lets a pod tolerate a taint's key."""
    toleration = {"key": key, "operator": "Exists", "effect": "NoSchedule"}
    path = work.path("spec.tolerations")
    if work.raw_spec.get("tolerations"):
        return (Append(path, toleration),)
    return (Set(path, [toleration]),)


_PROGRESS = re.compile(r"checkpoint|ckpt|s3://|gs://|--resume|save[-_](dir|path|steps|strategy)|output[-_]dir")
_KEPT = ("persistentVolumeClaim", "ephemeral", "csi", "nfs", "awsElasticBlockStore", "hostPath", "glusterfs")


def keeps_progress(work: Work) -> bool:
    """Whether a run has somewhere to keep what it has done: a volume that stays, or an option that says where."""
    volumes = maps(work.raw_spec.get("volumes"))
    if any(key in volume for _, volume in volumes for key in _KEPT):
        return True
    words = work.words + " ".join(one.value for container in work.spec.containers for one in container.env).lower()
    return _PROGRESS.search(words) is not None


def first_landing(work: Work, given: Input) -> Landing | None:
    """The pool that is asked first for a node; None where no pool of the input takes the pod."""
    return next(iter(given.landing(work)), None)


def may_be_spot(work: Work, given: Input) -> Landing | bool:
    """The landing on Spot that comes first; where there are no pools, whether nothing speaks against Spot."""
    if given.pools:
        landing = first_landing(work, given)
        return landing if landing is not None and landing.offer.launched_as == "spot" else False
    asked = [one for alternative in work.alternatives if (one := alternative.get(CAPACITY_TYPE)) is not None]
    return bool(work.devices) and all(one.has("spot") for one in asked)


def where_it_lands(landing: Landing) -> str:
    """The pool that is asked first, and what it buys."""
    weight = f", weight {landing.pool.weight}" if landing.pool.weight else ""
    return f"the first pool that takes it is {landing.pool.name}{weight}, which buys {landing.offer.cheapest}"
