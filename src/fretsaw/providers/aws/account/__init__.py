"""An AWS account before Fretsaw runs in it: the policy and queue that it needs, and whether all that is there."""

from __future__ import annotations
