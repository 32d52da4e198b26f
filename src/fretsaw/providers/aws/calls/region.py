"""Which region to ask: as told, of the environment or profile, else that of the instance we run on."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from fretsaw.errors import UserError

METADATA_S = 2.0
"""How long the instance metadata service is waited for: outside of EC2 nobody answers, and commands shall not hang."""

_PRICE_LIST = (("ap-", "ap-south-1"), ("cn-", "cn-northwest-1"), ("eu-", "eu-central-1"))
"""The price list is kept in few regions: the prefix of ours, and the one to ask."""


async def find(session: Any, given: str = "") -> str:
    """The region's name. session: aiobotocore's. Raises UserError where none is named and none can be found."""
    # botocore knows AWS_DEFAULT_REGION only; EKS sets AWS_REGION in pods.
    told = given or os.environ.get("AWS_REGION") or session.get_config_variable("region")
    if told:
        return str(told)
    if found := await _of_instance(session):
        return found
    raise UserError("region", "no AWS region is given", "", "--region, AWS_REGION, or a profile with one")


async def _of_instance(session: Any) -> str | None:
    from aiobotocore.utils import AioIMDSRegionProvider  # type: ignore[import-untyped]
    from botocore.exceptions import BotoCoreError  # type: ignore[import-untyped]

    try:
        async with asyncio.timeout(METADATA_S):
            region = await AioIMDSRegionProvider(session).provide()
    except (BotoCoreError, OSError, TimeoutError):
        return None
    return str(region) if region else None


def serving(service: str, region: str) -> str:
    """The region that answers for a service."""
    if service != "pricing":
        return region
    return next((answers for prefix, answers in _PRICE_LIST if region.startswith(prefix)), "us-east-1")
