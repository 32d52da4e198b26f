"""What holds in a live cluster whatever goes wrong: no instance too many, none lost, none that nobody ended on purpose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from support.live import Live


def no_second_instance(live: Live, after: int = 0) -> None:
    """The cloud has launched once for each claim's uid. after: calls up to this number of the cloud's log aside."""
    made = Counter(call["token"] for call in live.cloud.log(after) if call["answer"] == "created")
    assert not [token for token, times in made.items() if times > 1], made


def nothing_leaked(live: Live, pools: Sequence[str], timeout_s: float = 120) -> None:
    """Every instance of these pools has its claim, every claim its instance; nothing is on its way out for ever."""

    def settled() -> bool:
        claims = {claim.get("status", {}).get("providerID") for pool in pools for claim in live.claims(pool)}
        there = {one["providerId"] for one in live.cloud.instances() if one["claim"].rsplit("-", 1)[0] in pools}
        return claims == there

    live.until(settled, "instances and claims agree", timeout_s)


def ended(live: Live, after: int = 0) -> list[str]:
    """Provider ids of the instances that were ended, by whomever."""
    return [call["providerId"] for call in live.cloud.log(after) if call["call"] == "ended"]


def none_ended(live: Live, instances: Iterable[str], after: int = 0) -> None:
    """Nobody has ended any of these instances."""
    gone = sorted(set(instances).intersection(ended(live, after)))
    assert not gone, f"ended: {gone}\n{live.operators[-1].last_words(20) if live.operators else ''}"
