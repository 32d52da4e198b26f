"""What is launched to see whether a class could launch: one type and its launch template. Pure.

Source: AWS provider v1.14 pkg/controllers/nodeclass (validation.go): which type is tried.
Differs: the peer prefers a type of the NodePools that name the class; a provider does not see NodePools.
"""

from __future__ import annotations

from collections.abc import Iterable

from fretsaw.api.catalog import InstanceType
from fretsaw.api.nodeclass import EC2NodeClass
from fretsaw.api.nodeclass_status import ResolvedAMI
from fretsaw.api.resources import units
from fretsaw.providers.aws.boot.template import Claimed, Kind, template_data
from fretsaw.providers.aws.boot.values import Cluster
from fretsaw.providers.aws.classes.aliases import STANDARD
from fretsaw.providers.aws.classes.dryrun import Trial
from fretsaw.providers.aws.classes.images import image_for, of_type
from fretsaw.providers.aws.launch.marks import launch_tags

USUAL = ("m5.large", "m6g.large")
_STANDARD = ResolvedAMI("", STANDARD)


def trial_of(node_class: EC2NodeClass, cluster: Cluster, region: str, types: Iterable[InstanceType]) -> Trial | None:
    """The trial of a class among the types that it can launch; None where it can launch none.

    Raises NotReady and LaunchFailed as `template_data` does.
    """
    if (choice := choose(node_class.status.amis, types)) is None:
        return None
    type_, image = choice
    given = node_class.spec.tags if node_class.spec is not None else {}
    tags = launch_tags(given, cluster.name, "", node_class.metadata.name)
    kind = Kind(image_id=image.id, pods=units("pods", type_.capacity.get("pods", "0")), capacity_type="on-demand")
    data = template_data(node_class, cluster, kind, Claimed(), tags, region=region)
    return Trial(type_.name, data, tags)


def choose(amis: Iterable[ResolvedAMI], types: Iterable[InstanceType]) -> tuple[InstanceType, ResolvedAMI] | None:
    """A type and its image: the usual ones first, then those without accelerators, whose images have smaller disks."""
    images = tuple(amis)
    found = []
    for type_ in types:
        machine = of_type(type_)
        if any(offering.available for offering in type_.offerings) and (image := image_for(images, machine)):
            plain = image_for((_STANDARD,), machine) is not None
            place = USUAL.index(type_.name) if type_.name in USUAL else len(USUAL)
            found.append((place, not plain, type_.name, type_, image))
    first = min(found, key=lambda one: one[:3], default=None)
    return None if first is None else first[3:]
