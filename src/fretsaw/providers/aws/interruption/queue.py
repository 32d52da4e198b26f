"""The queue that EventBridge fills: messages are received and deleted in batches."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from fretsaw.providers.aws.calls import Asking, AwsError

BATCH = 10
"""The most that SQS gives or takes at once."""
WAIT_S = 20
"""How long SQS holds a question when there is nothing: the longest that it takes."""
HIDDEN_S = 20
"""How long a message that was received is not given to others. One that is not deleted by then comes again."""
MISSING = frozenset({"QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"})


class Received(msgspec.Struct, frozen=True):
    """A message as it came."""

    id: str
    receipt: str
    """With this it is deleted."""
    body: str


class Queue:
    """The cluster's queue."""

    def __init__(self, aws: Asking, name: str, *, wait_s: int = WAIT_S) -> None:
        self.name = name
        self._aws, self._wait_s = aws, wait_s
        self._url = ""

    async def receive(self) -> list[Received]:
        """Messages, as soon as there are any; none after `wait_s`. Raises AwsError."""
        try:
            answer = await self._aws.ask(
                "sqs:ReceiveMessage",
                QueueUrl=await self._found(),
                MaxNumberOfMessages=BATCH,
                WaitTimeSeconds=self._wait_s,
                VisibilityTimeout=HIDDEN_S,
            )
        except AwsError as error:
            if error.code in MISSING:
                self._url = ""  # made anew it may have another
            raise
        return [
            Received(one["MessageId"], one["ReceiptHandle"], one.get("Body") or "")
            for one in answer.get("Messages") or ()
        ]

    async def delete(self, messages: Sequence[Received]) -> int:
        """Take messages away; returns how many were. What SQS could not delete comes again. Raises AwsError."""
        if not messages:
            return 0
        entries = [{"Id": str(n), "ReceiptHandle": one.receipt} for n, one in enumerate(messages)]
        answer = await self._aws.ask("sqs:DeleteMessageBatch", QueueUrl=await self._found(), Entries=entries)
        return len(answer.get("Successful") or ())

    async def _found(self) -> str:
        if not self._url:
            answer = await self._aws.ask("sqs:GetQueueUrl", QueueName=self.name)
            self._url = str(answer["QueueUrl"])
        return self._url
