"""Launch templates: there when they are needed, gone when nobody has needed them for a minute.

Those of an earlier process are taken over at the first launch, so that they are deleted, too. Who launches deletes:
a replica that waits for its turn would take away what the one that acts is using.
Source: Karpenter AWS provider v1.14 pkg/providers/launchtemplate (cache of one minute, eviction deletes).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import Any

from fretsaw.providers.aws.boot.template import PREFIX
from fretsaw.providers.aws.calls.asking import Asking, AwsError
from fretsaw.providers.aws.launch import marks
from fretsaw.providers.aws.launch.refusals import NO_TEMPLATE, NOT_FOUND

KEEP_S = 60.0
_THERE_ALREADY = "InvalidLaunchTemplateName.AlreadyExistsException"
_NAMES = 200
"""Values of one filter."""
_AT_ONCE = 10


class Templates:
    """Those of one cluster. now: seconds of a clock that never goes back."""

    def __init__(self, aws: Asking, cluster: str, now: Callable[[], float], keep_s: float = KEEP_S) -> None:
        self._aws, self._cluster, self._now, self._keep_s = aws, cluster, now, keep_s
        self._until: dict[str, float] = {}
        """Name → when it is deleted unless somebody needs it before."""
        self._lock = asyncio.Lock()
        self.failure: AwsError | None = None
        """Why one could not be deleted, the last time that happened."""
        self._taken_over = False

    async def ensure(self, wanted: Mapping[str, Mapping[str, Any]], tags: Mapping[str, str]) -> None:
        """Have templates of these names with this data. Raises AwsError."""
        async with self._lock:
            complete = await self._take_over()
            missing = [name for name in sorted(wanted) if name not in self._until]
            there = set[str]() if complete else await self._there(missing)
            some = asyncio.Semaphore(_AT_ONCE)
            await asyncio.gather(*(self._create(n, wanted[n], tags, some) for n in missing if n not in there))
            for name in wanted:
                self._until[name] = self._now() + self._keep_s

    def forget(self, names: Collection[str]) -> None:
        """They are not there, whatever was thought; nothing is deleted."""
        for name in names:
            self._until.pop(name, None)

    async def sweep(self) -> None:
        """Delete those that nobody has needed for a while. Raises nothing: what fails is tried again in a while, and
        nothing hangs on it."""
        async with self._lock:
            now = self._now()
            for name in sorted(name for name, until in self._until.items() if until <= now):
                try:
                    await self._delete(name)
                except AwsError as error:
                    self.failure = error
                    self._until[name] = now + self._keep_s
                else:
                    del self._until[name]

    async def _take_over(self) -> bool:
        """Whether all that there are have just been read."""
        if self._taken_over:
            return False
        filters = [{"Name": f"tag:{marks.CLUSTER}", "Values": [self._cluster]}]
        found = await self._aws.pages("ec2:DescribeLaunchTemplates", "LaunchTemplates", Filters=filters)
        for one in found:
            if (name := one.get("LaunchTemplateName", "")).startswith(PREFIX):
                self._until.setdefault(name, self._now() + self._keep_s)
        self._taken_over = True
        return True

    async def _there(self, names: Collection[str]) -> set[str]:
        ordered, found = sorted(names), set[str]()
        for at in range(0, len(ordered), _NAMES):
            filters = [{"Name": "launch-template-name", "Values": ordered[at : at + _NAMES]}]
            try:
                part = await self._aws.pages("ec2:DescribeLaunchTemplates", "LaunchTemplates", Filters=filters)
            except AwsError as error:
                if error.code not in NOT_FOUND:
                    raise
                part = []
            found |= {one["LaunchTemplateName"] for one in part}
        return found

    async def _create(
        self, name: str, data: Mapping[str, Any], tags: Mapping[str, str], some: asyncio.Semaphore
    ) -> None:
        own = [{"ResourceType": "launch-template", "Tags": marks.as_list(tags)}]
        async with some:
            try:
                await self._aws.ask(
                    "ec2:CreateLaunchTemplate", LaunchTemplateName=name, LaunchTemplateData=data, TagSpecifications=own
                )
            except AwsError as error:
                if error.code != _THERE_ALREADY:
                    raise

    async def _delete(self, name: str) -> None:
        try:
            await self._aws.ask("ec2:DeleteLaunchTemplate", LaunchTemplateName=name)
        except AwsError as error:
            if error.code not in NO_TEMPLATE:
                raise
