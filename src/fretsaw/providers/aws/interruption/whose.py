"""Which instances are this cluster's: messages are about all instances of the account and region."""

from __future__ import annotations

from collections.abc import Callable, Collection

from fretsaw.api.labels import NODEPOOL
from fretsaw.providers.aws.calls import Asking
from fretsaw.providers.aws.launch.instances import read
from fretsaw.providers.aws.launch.marks import CLUSTER

STRANGER_S = 60.0
"""How long an instance that is not ours is not asked for again. Short, since a new one may not be found at first."""
OURS_S = 24 * 3600.0
_MOST = 200
"""Values that EC2 takes in one filter."""


class Whose:
    """The ids of our instances as Kubernetes names them; others are asked for at most once a minute."""

    def __init__(self, aws: Asking, cluster: str, seconds: Callable[[], float]) -> None:
        self._aws, self._cluster, self._seconds = aws, cluster, seconds
        self._known: dict[str, tuple[str, float]] = {}
        """Instance → (provider id, or empty for strangers; until when that holds)."""

    async def ours(self, ids: Collection[str]) -> dict[str, str]:
        """Instance → provider id, of those that are ours; also when they have just ended. Raises AwsError."""
        now = self._seconds()
        self._known = {one: (name, until) for one, (name, until) in self._known.items() if until > now}
        unknown = [one for one in dict.fromkeys(ids) if one not in self._known]
        for at in range(0, len(unknown), _MOST):
            part = unknown[at : at + _MOST]
            found = await self._asked(part)
            for one in part:
                name = found.get(one, "")
                self._known[one] = (name, now + (OURS_S if name else STRANGER_S))
        return {one: name for one in dict.fromkeys(ids) if (name := self._known[one][0])}

    async def _asked(self, ids: list[str]) -> dict[str, str]:
        # By filter, not by id: for an id that there is not EC2 would refuse to speak of the others.
        filters = [
            {"Name": "instance-id", "Values": ids},
            {"Name": f"tag:{CLUSTER}", "Values": [self._cluster]},
            {"Name": "tag-key", "Values": [NODEPOOL]},
        ]
        found = await self._aws.pages("ec2:DescribeInstances", "Reservations", Filters=filters, MaxResults=1000)
        instances = [read(item) for reservation in found for item in reservation.get("Instances") or ()]
        return {one.id: one.provider_id for one in instances if one.zone}
