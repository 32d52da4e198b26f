"""XID errors: what the driver reports about a GPU, what it means, and who notices.

Source: NVIDIA XID catalogue (actions, severities); NVIDIA k8s-device-plugin health checks (skipped codes); EKS node
monitoring agent, AcceleratedHardwareReady reasons.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from fretsaw.errors import UserError

Action = Literal[
    "restart-app",
    "ignore",
    "follow-xid",
    "reset-gpu",
    "double-bit",
    "nvlink",
    "replace-instance",
    "update-software",
    "restart-vm",
    "check-mechanicals",
    "report",
]


def _codes(text: str) -> frozenset[int]:
    """`8 11 39-41` as numbers."""
    found: set[int] = set()
    for word in text.split():
        low, _, high = word.partition("-")
        found.update(range(int(low), int(high or low) + 1))
    return frozenset(found)


_ACTIONS: dict[Action, frozenset[int]] = {
    "restart-app": _codes("8 11 13 25 31 32 39-41 60 68-72 75-77 80 82-86 88 89 94 96-105 126-135 139"),
    "ignore": _codes("14 37 38 43 44 63 66 67 92 93 106 107 121 137 141 152 153 157 161"),
    "follow-xid": _codes("45 154"),
    "reset-gpu": _codes("46 62 64 95 109 110 119 120 136 140 143 155 156 158 162"),
    "double-bit": _codes("48"),
    "nvlink": _codes("74 144-150"),
    "replace-instance": _codes("79 160"),
    "update-software": _codes("78"),
    "restart-vm": _codes("151"),
    "check-mechanicals": _codes("54"),
}
_HARMLESS = frozenset({"restart-app", "ignore", "follow-xid"})
SKIPPED = _codes("13 31 43 45 68 109")
"""Codes after which the device plugin leaves a device healthy; DP_DISABLE_HEALTHCHECKS adds to them."""
_FIRST_OF_NEW = 126
"""Codes below that nothing is said of are fatal."""


class Xid(msgspec.Struct, frozen=True):
    """One code and what follows from it."""

    code: int
    action: Action
    fatal: bool
    """Whether the GPU is of no use any more: the programs on it fail until the instance is replaced."""

    @property
    def ends_program(self) -> bool:
        """Whether the program that uses the GPU ends."""
        return self.fatal or self.action == "restart-app"

    def unhealthy(self, skipped: frozenset[int] = SKIPPED) -> bool:
        """Whether the device plugin takes the device away from allocatable."""
        return self.code not in skipped

    @property
    def reason(self) -> str:
        """The reason that the EKS agent gives: an error's with AcceleratedHardwareReady False, else an event's."""
        named = {"double-bit": "NvidiaDoubleBitError", "nvlink": "NvidiaNVLinkError"}
        return named.get(self.action, f"NvidiaXID{self.code}{'Error' if self.fatal else 'Warning'}")


def xid(code: int) -> Xid:
    """What a code means. Raises UserError for what is no code."""
    if code < 1:
        raise UserError("xid", "no XID code", str(code), "1 or more, such as 79")
    action = next((action for action, codes in _ACTIONS.items() if code in codes), None)
    if action is None:
        return Xid(code, "report", fatal=code < _FIRST_OF_NEW)
    return Xid(code, action, fatal=action not in _HARMLESS)
