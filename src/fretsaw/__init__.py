"""Fretsaw: plan the nodes that Kubernetes pods need on AWS, in Karpenter's words, with the price and its proof.

    from fretsaw import load, plan

`import fretsaw` itself is instant: the two functions are imported when they are first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fretsaw.planner import load, plan

__all__ = ["__version__", "load", "plan"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Import `load` and `plan` on first use (PEP 562)."""
    if name not in ("load", "plan"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from fretsaw import planner

    return getattr(planner, name)


def __dir__() -> list[str]:
    return sorted([*globals(), "load", "plan"])
