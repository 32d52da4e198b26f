"""Random scripts of faults against moto: at their end every instance that runs belongs to a NodeClaim, and every
NodeClaim has one.

Capacity that runs out, throttling, lost answers, fleets that come in part, instances that are not described yet or die
at boot, credentials that expire, calls that are not allowed, an image or a launch template that is gone, subnets
without addresses, quotas, and a process that dies at any call and begins anew; several of them at once.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import pytest

from aws.launch.worlds import in_one_loop
from aws.provider.chaos import FAULTS, live_through, ready_class
from fretsaw.api.nodeclass import EC2NodeClass
from fretsaw.providers.aws.calls import Asking
from support.aws import Moto

FIRST = int(os.environ.get("FAULT_SEEDS_FROM", "0"))
"""Other seeds than the usual ones, for whoever looks for more."""
GROUPS, EACH = 12, 10
"""120 seeds. A group shares one account: making it anew takes longer than a seed."""


@pytest.mark.parametrize("group", range(GROUPS))
def test_whatever_happens_nothing_is_left_over_and_nobody_is_stuck(moto: Moto, group: int) -> None:
    async def work(aws: Asking) -> Counter[str]:
        the_class: EC2NodeClass = await ready_class(moto, aws)
        seen: Counter[str] = Counter()
        for seed in range(FIRST + group * EACH, FIRST + (group + 1) * EACH):
            keeper = await live_through(moto, aws, seed, the_class)
            seen.update(line for line in keeper.story if line.startswith("-- ") or line == "died")
        return seen

    seen: Any = in_one_loop(moto, work)
    faults = {line.removeprefix("-- ") for line in seen} & set(FAULTS)
    assert len(faults) >= len(set(FAULTS)) // 2  # the scripts do say something
