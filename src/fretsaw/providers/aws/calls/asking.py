"""How the rest of the provider asks AWS something.

    found = await aws.pages("ec2:DescribeSubnets", "Subnets", Filters=[…])
    answer = await aws.ask("ssm:GetParameter", Name=name)

Names are IAM's; parameters and answers have the shapes of AWS's own models.
"""

from __future__ import annotations

from typing import Any, Protocol


class AwsError(Exception):
    """AWS refused a call, or could not be reached. Callers sort it by its code; it never leaves the provider."""

    def __init__(self, call: str, code: str, message: str, *, retry: bool = False) -> None:
        super().__init__(call, code, message)
        self.call = call
        """Such as `ec2:CreateFleet`."""
        self.code = code
        """Such as `UnauthorizedOperation`; `NoAnswer` where none came, `NoCredentials` where there are none."""
        self.message = message
        self.retry = retry
        """Whether the same call may well succeed later: throttled, a server's fault, no answer."""

    def __str__(self) -> str:
        return f"{self.call}: {self.code}: {self.message}"


class Asking(Protocol):
    """Calls to one region of one account."""

    region: str

    async def ask(self, call: str, /, **parameters: Any) -> dict[str, Any]:
        """One call's answer. Raises AwsError."""

    async def pages(self, call: str, field: str, /, **parameters: Any) -> list[Any]:
        """The items of all pages under `field`. Raises AwsError."""

    async def close(self) -> None:
        """Give back connections."""
