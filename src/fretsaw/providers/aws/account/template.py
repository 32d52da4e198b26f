"""A CloudFormation template of what an account needs: policies, queue, rules that fill it, the nodes' role. Pure."""

from __future__ import annotations

from typing import Any

from fretsaw.providers.aws.account.policy import VERSION, Scope, document, walked
from fretsaw.providers.aws.calls.statements import Part
from fretsaw.providers.aws.interruption.messages import RULES

RETENTION_S = 300
"""A message about an instance is of no use after five minutes: its status tells the rest."""
_PARTS: dict[Part, str] = {
    "launch": "launches and ends instances of this cluster",
    "profiles": "makes instance profiles for node classes that name a role",
    "discovery": "reads what EC2 has and what it costs",
    "interruption": "hears interruptions",
}
_NODE_POLICIES = (
    "AmazonEKSWorkerNodePolicy",
    "AmazonEKS_CNI_Policy",
    "AmazonEC2ContainerRegistryPullOnly",
    "AmazonSSMManagedInstanceCore",
)


def cloudformation(scope: Scope) -> dict[str, Any]:
    """The template. Region, account and partition are those of the stack, whatever `scope` says."""
    # CloudFormation's own names, which Fn::Sub replaces.
    here = Scope(
        cluster=scope.cluster,
        region="${AWS::Region}",
        account="${AWS::AccountId}",
        partition="${AWS::Partition}",
        queue=scope.queue,
        node_role=scope.node_role,
    )
    resources: dict[str, Any] = {
        **_policies(here),
        **_queue(here),
        **_rules(),
        "NodeRole": _node_role(here),
    }
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"What Fretsaw needs to run the nodes of the EKS cluster {scope.cluster}",
        "Parameters": {
            "CreateNodeRole": {
                "Type": "String",
                "Default": "yes",
                "AllowedValues": ["yes", "no"],
                "Description": "no: the role that nodes have is there already",
            }
        },
        "Conditions": {"MakesNodeRole": {"Fn::Equals": [{"Ref": "CreateNodeRole"}, "yes"]}},
        "Resources": walked(resources, _substituted),
        "Outputs": {
            **{f"{_logical(part)}Arn": {"Value": {"Ref": _logical(part)}} for part in _PARTS},
            "QueueName": {"Value": {"Fn::GetAtt": ["InterruptionQueue", "QueueName"]}},
        },
    }


def _substituted(text: str) -> Any:
    return {"Fn::Sub": text} if "${" in text else text


def _logical(part: Part) -> str:
    return f"Controller{part.capitalize()}Policy"


def _policies(scope: Scope) -> dict[str, Any]:
    """One managed policy for each part: together they are longer than IAM takes in one."""
    return {
        _logical(part): {
            "Type": "AWS::IAM::ManagedPolicy",
            "Properties": {
                "Description": f"Fretsaw {why}",
                "PolicyDocument": document(scope, parts=(part,)),
            },
        }
        for part, why in _PARTS.items()
    }


def _queue(scope: Scope) -> dict[str, Any]:
    arn = {"Fn::GetAtt": ["InterruptionQueue", "Arn"]}
    return {
        "InterruptionQueue": {
            "Type": "AWS::SQS::Queue",
            "Properties": {
                "QueueName": scope.queue_name,
                "MessageRetentionPeriod": RETENTION_S,
                "SqsManagedSseEnabled": True,
            },
        },
        "InterruptionQueuePolicy": {
            "Type": "AWS::SQS::QueuePolicy",
            "Properties": {
                "Queues": [{"Ref": "InterruptionQueue"}],
                "PolicyDocument": {
                    "Version": VERSION,
                    "Statement": [
                        {
                            "Sid": "EventBridgeMaySend",
                            "Effect": "Allow",
                            "Principal": {"Service": ["events.amazonaws.com", "sqs.amazonaws.com"]},
                            "Action": "sqs:SendMessage",
                            "Resource": arn,
                        },
                        {
                            "Sid": "OnlyEncrypted",
                            "Effect": "Deny",
                            "Principal": "*",
                            "Action": "sqs:*",
                            "Resource": arn,
                            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                        },
                    ],
                },
            },
        },
    }


def _rules() -> dict[str, Any]:
    """One rule for each kind of message that is understood."""
    return {
        _rule(detail_type): {
            "Type": "AWS::Events::Rule",
            "Properties": {
                "Description": f"{detail_type}, for Fretsaw",
                "EventPattern": {"source": [source], "detail-type": [detail_type]},
                "Targets": [{"Id": "InterruptionQueue", "Arn": {"Fn::GetAtt": ["InterruptionQueue", "Arn"]}}],
            },
        }
        for source, detail_type in RULES
    }


def _rule(detail_type: str) -> str:
    return "".join(letter for letter in detail_type.title() if letter.isalnum()) + "Rule"


def _node_role(scope: Scope) -> dict[str, Any]:
    service = {"Service": "ec2.amazonaws.com"}
    return {
        "Type": "AWS::IAM::Role",
        "Condition": "MakesNodeRole",
        "Properties": {
            "RoleName": scope.role.rpartition("/")[2],
            "AssumeRolePolicyDocument": {
                "Version": VERSION,
                "Statement": [{"Effect": "Allow", "Principal": service, "Action": "sts:AssumeRole"}],
            },
            "ManagedPolicyArns": [f"arn:{scope.partition}:iam::aws:policy/{name}" for name in _NODE_POLICIES],
        },
    }
