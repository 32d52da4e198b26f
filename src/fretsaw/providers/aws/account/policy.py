"""The table of calls as an IAM policy: nothing that is not called is allowed. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from fretsaw.errors import UserError
from fretsaw.providers.aws.calls.statements import Part, Statement
from fretsaw.providers.aws.calls.table import allowed

VERSION = "2012-10-17"
NODE_ROLE = "KarpenterNodeRole"
"""Of a role's name what stands before the cluster's, unless another name is given: as Karpenter's guide has it."""
_CLUSTER_NAME = 100
_LONGEST_ROLE = 64


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """What the policy is for. `*` stands for any account or region."""

    cluster: str
    region: str = "*"
    account: str = "*"
    partition: str = "aws"
    queue: str = ""
    """Its name; the cluster's where it is empty."""
    node_role: str = ""
    """Name or ARN; the usual name where it is empty."""

    @property
    def queue_name(self) -> str:
        """The queue's name."""
        return self.queue or self.cluster

    @property
    def role(self) -> str:
        """The node role's ARN."""
        name = self.node_role or f"{NODE_ROLE}-{self.cluster}"
        return name if name.startswith("arn:") else f"arn:{self.partition}:iam::{self.account}:role/{name}"

    @property
    def words(self) -> dict[str, str]:
        """What stands for the names in braces of the statements."""
        return {
            "partition": self.partition,
            "region": self.region,
            "account": self.account,
            "cluster": self.cluster,
            "queue": self.queue_name,
            "node_role": self.role,
        }


def check(scope: Scope) -> None:
    """Raises UserError for a cluster or role that cannot have this name: in a policy it would match nothing."""
    name = scope.cluster
    if not name or len(name) > _CLUSTER_NAME or not all(sign.isalnum() or sign in "-_" for sign in name):
        right = f"letters, digits, - and _, at most {_CLUSTER_NAME}"
        raise UserError("--cluster", "no EKS cluster can have this name", repr(name), right)
    role = scope.role.rpartition("/")[2]
    if len(role) > _LONGEST_ROLE:
        raise UserError(
            "--node-role",
            f"a role's name has at most {_LONGEST_ROLE} characters",
            role,
            "name the role that nodes have",
        )


def document(scope: Scope, *, parts: tuple[Part, ...] = (), with_check: bool = False) -> dict[str, Any]:
    """The policy document. parts: only these; all where none is named."""
    statements = [
        _statement(statement, actions, scope)
        for statement, actions in allowed(check=with_check)
        if not parts or statement.part in parts
    ]
    return {"Version": VERSION, "Statement": statements}


def _statement(statement: Statement, actions: tuple[str, ...], scope: Scope) -> dict[str, Any]:
    made: dict[str, Any] = {
        "Sid": statement.sid,
        "Effect": "Allow",
        "Action": _few(list(actions)),
        "Resource": _few([resource.format(**scope.words) for resource in statement.resources]),
    }
    conditions = {
        operator: {key.format(**scope.words): _filled(value, scope) for key, value in tests.items()}
        for operator, tests in statement.conditions.items()
    }
    # Any region or account is not a value that a condition could compare: the test is left out.
    told = {
        operator: {key: value for key, value in tests.items() if value != "*" or operator.endswith("Like")}
        for operator, tests in conditions.items()
    }
    if told := {operator: tests for operator, tests in told.items() if tests}:
        made["Condition"] = told
    return made


def _filled(value: str | list[str], scope: Scope) -> str | list[str]:
    return [one.format(**scope.words) for one in value] if isinstance(value, list) else value.format(**scope.words)


def _few(values: list[str]) -> str | list[str]:
    return values[0] if len(values) == 1 else values


def walked(tree: Any, change: Callable[[str], Any]) -> Any:
    """The tree with every text changed, but for keys."""
    if isinstance(tree, str):
        return change(tree)
    if isinstance(tree, Mapping):
        return {key: walked(value, change) for key, value in tree.items()}
    return [walked(value, change) for value in tree] if isinstance(tree, list) else tree
