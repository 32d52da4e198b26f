"""The one door to AWS: named calls, what IAM needs for each, and their errors."""

from __future__ import annotations

from fretsaw.providers.aws.calls.asking import Asking, AwsError
from fretsaw.providers.aws.calls.session import Aws, Limits

__all__ = ["Asking", "Aws", "AwsError", "Limits"]
