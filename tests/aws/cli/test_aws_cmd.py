"""`fretsaw aws`: the policy, the template, and the checks of an account."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fretsaw.cli import main
from fretsaw.providers.aws.calls.table import CALLS
from fretsaw.providers.aws.interruption.messages import RULES, parse
from support.aws import Moto

MANAGED_POLICY = 6144
"""Characters that IAM takes in a managed policy, white space not counted."""


def printed(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert main.run(["aws", *arguments]) == code
    return capsys.readouterr().out


def policy(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(printed(capsys, "iam-policy", "--cluster", "prod", *arguments))
    return document


def by_sid(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {statement["Sid"]: statement for statement in document["Statement"]}


def actions(document: dict[str, Any]) -> set[str]:
    found: set[str] = set()
    for statement in document["Statement"]:
        given = statement["Action"]
        found.update([given] if isinstance(given, str) else given)
    return found


def size(document: Any) -> int:
    return len(json.dumps(document, separators=(",", ":")))


def test_the_policy_allows_what_is_called_and_no_more(capsys: pytest.CaptureFixture[str]) -> None:
    needed = {action for call in CALLS for sid, action in call.needs if sid != "ReadQuotas"}
    document = policy(capsys)
    assert actions(document) == needed
    assert not any("*" in action for action in needed)
    assert actions(policy(capsys, "--with-check")) == needed | {"servicequotas:ListServiceQuotas"}
    assert size(document) <= MANAGED_POLICY


def test_what_changes_something_is_held_to_the_clusters_tags(capsys: pytest.CaptureFixture[str]) -> None:
    statements = by_sid(policy(capsys, "--region", "eu-west-1", "--account", "123456789012"))
    ended = statements["EndOwn"]
    assert ended["Resource"] == ["arn:aws:ec2:eu-west-1:*:instance/*", "arn:aws:ec2:eu-west-1:*:launch-template/*"]
    assert ended["Condition"] == {
        "StringEquals": {"aws:ResourceTag/kubernetes.io/cluster/prod": "owned"},
        "StringLike": {"aws:ResourceTag/karpenter.sh/nodepool": "*"},
    }
    assert statements["PassNodeRole"]["Resource"] == "arn:aws:iam::123456789012:role/KarpenterNodeRole-prod"
    assert statements["HearInterruptions"]["Resource"] == "arn:aws:sqs:eu-west-1:123456789012:prod"
    assert statements["ReadEC2"]["Condition"] == {"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}
    changing = [name for name in statements if not name.startswith(("Read", "List", "Hear", "LaunchFromWhat"))]
    assert all(statements[name]["Condition"] for name in changing)
    everywhere = {name for name, one in statements.items() if one["Resource"] == "*"}
    assert everywhere == {"ListProfiles", "ReadEC2", "ReadPrices"}


def test_a_policy_for_any_region_compares_none(capsys: pytest.CaptureFixture[str]) -> None:
    document = policy(capsys)
    assert "Condition" not in by_sid(document)["ReadEC2"]
    assert "topology.kubernetes.io/region" not in json.dumps(document)
    assert "{" not in json.dumps([one["Resource"] for one in document["Statement"]])


def test_names_can_be_given(capsys: pytest.CaptureFixture[str]) -> None:
    role = "arn:aws-cn:iam::1:role/path/nodes"
    statements = by_sid(policy(capsys, "--queue", "events", "--node-role", role, "--partition", "aws-cn"))
    assert statements["PassNodeRole"]["Resource"] == role
    assert statements["HearInterruptions"]["Resource"] == "arn:aws-cn:sqs:*:*:events"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["iam-policy"], "Missing option '--cluster'"),
        (["iam-policy", "--cluster", "no spaces"], "no EKS cluster can have this name"),
        (["iam-policy", "--cluster", "x" * 101], "no EKS cluster can have this name"),
        (["iam-policy", "--cluster", "x" * 60], "at most 64 characters"),
        (["iam-policy", "--cluster", "prod", "-o", "cloudformation", "--region", "eu-west-1"], "leave out --region"),
        (["check", "--cluster", ""], "no EKS cluster can have this name"),
    ],
)
def test_wrong_flags_are_refused(capsys: pytest.CaptureFixture[str], arguments: list[str], said: str) -> None:
    assert main.run(["aws", *arguments]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""


def test_help_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["iam-policy"], ["check"]):
        text = printed(capsys, *arguments, "--help")
        assert "Examples:" in text
        assert max(map(len, text.splitlines())) <= 88


# The template


@pytest.fixture
def template(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(printed(capsys, "iam-policy", "--cluster", "prod", "-o", "cloudformation"))
    return made


def complaints(template: dict[str, Any]) -> list[str]:
    """Errors and warnings of cfn-lint; not what it only remarks."""
    from cfnlint import api

    found = api.lint_all(json.dumps(template))
    return [str(match) for match in found if not match.rule.id.startswith("I")]


def test_the_template_passes_cfn_lint(template: dict[str, Any]) -> None:
    assert complaints(template) == []


def test_a_broken_template_does_not_pass(template: dict[str, Any]) -> None:
    template["Resources"]["InterruptionQueue"]["Properties"]["NoSuchProperty"] = 1
    assert complaints(template)


def test_the_template_has_a_rule_for_each_message_and_policies_that_iam_takes(template: dict[str, Any]) -> None:
    resources = template["Resources"]
    rules = [one["Properties"]["EventPattern"] for one in resources.values() if one["Type"] == "AWS::Events::Rule"]
    assert {(one["source"][0], one["detail-type"][0]) for one in rules} == set(RULES)
    policies = [
        one["Properties"]["PolicyDocument"] for one in resources.values() if one["Type"] == "AWS::IAM::ManagedPolicy"
    ]
    assert all(size(document) <= MANAGED_POLICY for document in policies)
    allowed = set().union(*map(actions, policies))
    assert allowed == {action for call in CALLS for sid, action in call.needs if sid != "ReadQuotas"}


@pytest.mark.filterwarnings("ignore:Tried to parse AWS..SQS..QueuePolicy")
def test_moto_takes_the_template_and_the_queue_hears(template: dict[str, Any], moto: Moto) -> None:
    """Deployed, EventBridge's rules are there and have the queue as their target."""
    cloudformation = moto.backend("cloudformation")
    cloudformation.create_stack(name="fretsaw", template=json.dumps(template), parameters={}, tags={})
    events = moto.backend("events")
    queue = moto.backend("sqs").queues["prod"]
    instance = "i-00000000000000001"
    for source, detail_type in RULES:
        detail = {"instance-id": instance, "state": "stopped"} | {
            "service": "EC2",
            "eventTypeCategory": "scheduledChange",
            "affectedEntities": [{"entityValue": instance}],
        }
        events.put_events([{"Source": source, "DetailType": detail_type, "Detail": json.dumps(detail)}])
    events.put_events([{"Source": "aws.ec2", "DetailType": "EBS Volume Notification", "Detail": "{}"}])
    heard = [parse(message.body) for message in queue.messages]
    assert [message.instances for message in heard] == [(instance,)] * len(RULES)
    assert len({message.kind for message in heard}) == len(RULES)


# The checks


def checks(capsys: pytest.CaptureFixture[str], *more: str, code: int = 0) -> list[dict[str, str]]:
    out = printed(capsys, "check", "--cluster", "test", "-o", "json", *more, code=code)
    found: list[dict[str, str]] = json.loads(out)["checks"]
    return found


def about(found: list[dict[str, str]], what: str) -> dict[str, str]:
    """The finding about something that is worst."""
    return max(
        (one for one in found if one["what"] == what), key=lambda one: ["ok", "warn", "fail"].index(one["state"])
    )


def test_an_account_that_has_everything(capsys: pytest.CaptureFixture[str], moto: Moto) -> None:
    found = checks(capsys)
    assert {one["state"] for one in found} == {"ok"}
    assert about(found, "cluster")["found"] == "test, Kubernetes 1.34, ACTIVE"
    assert about(found, "queue")["found"] == "test is there"
    assert "us-east-1a, us-east-1b, us-east-1c" in about(found, "subnets")["found"]
    assert "Running On-Demand P instances: 768 vCPUs" in [one["found"] for one in found]


def test_the_check_changes_nothing(capsys: pytest.CaptureFixture[str], moto: Moto) -> None:
    checks(capsys)
    for asked in moto.asked:
        name = asked.call.partition(":")[2]
        assert name.startswith(("Describe", "Get", "List")) or asked.parameters.get("DryRun") == "true", asked.call
    assert moto.instances() == []
    assert moto.backend("ec2").launch_templates == {}


def test_what_is_not_allowed_fails_and_names_the_policy(capsys: pytest.CaptureFixture[str], moto: Moto) -> None:
    for call in ("ec2:DescribeImages", "ec2:RunInstances", "iam:GetInstanceProfile", "pricing:GetProducts"):
        moto.deny(call)
    found = checks(capsys, code=1)
    failed = [one for one in found if one["state"] == "fail"]
    assert [one["found"] for one in failed] == [
        "not allowed: ec2:DescribeImages",
        "not allowed: ec2:RunInstances",
        "not allowed: iam:GetInstanceProfile",
        "not allowed: pricing:GetProducts",
    ]
    assert {one["do"] for one in failed} == {"attach the policy of `fretsaw aws iam-policy --cluster test`"}


def test_a_call_that_fails_for_another_reason_is_no_verdict(capsys: pytest.CaptureFixture[str], moto: Moto) -> None:
    moto.fail("ec2:DescribeImages", "InternalError", status=500, times=None)
    found = about(checks(capsys), "permissions")
    assert (found["state"], found["found"][:35]) == ("warn", "cannot tell: ec2:DescribeImages: In")


def test_a_queue_that_is_not_there(capsys: pytest.CaptureFixture[str], moto: Moto) -> None:
    found = about(checks(capsys, "--queue", "other"), "queue")
    assert found["state"] == "warn"
    assert "-o cloudformation" in found["do"]


def test_a_cluster_that_is_not_there(capsys: pytest.CaptureFixture[str], moto: Moto) -> None:
    out = printed(capsys, "check", "--cluster", "other", "-o", "json", code=1)
    assert about(json.loads(out)["checks"], "cluster")["found"] == "no EKS cluster other in us-east-1"


def test_subnets_and_groups_of_nobody(capsys: pytest.CaptureFixture[str], moto: Moto) -> None:
    ec2 = moto.backend("ec2")
    for resource in (*moto.seeded.subnets.values(), *moto.seeded.security_groups):
        ec2.delete_tags([resource], {"karpenter.sh/discovery": None})
    found = checks(capsys)
    assert [about(found, what)["state"] for what in ("subnets", "security groups")] == ["warn", "warn"]
    assert "none has the tag karpenter.sh/discovery=test" in about(found, "subnets")["found"]


def test_subnets_without_addresses_or_in_one_zone(capsys: pytest.CaptureFixture[str], moto: Moto) -> None:
    first, *others = moto.seeded.subnets.values()
    for subnet in others:
        moto.backend("ec2").delete_tags([subnet], {"karpenter.sh/discovery": None})
    found = about(checks(capsys), "subnets")
    assert (found["state"], found["do"]) == ("warn", "add zones: GPU types are often to be had in few of them")
    moto.fill_subnet(first)
    found = about(checks(capsys, code=1), "subnets")
    assert (found["state"], "0 free addresses" in found["found"]) == ("fail", True)


def test_subnets_of_two_vpcs(capsys: pytest.CaptureFixture[str], moto: Moto) -> None:
    ec2 = moto.backend("ec2")
    other = ec2.create_vpc("10.9.0.0/16")
    ec2.create_tags([ec2.create_subnet(other.id, "10.9.0.0/20").id], {"karpenter.sh/discovery": "test"})
    group = ec2.create_security_group("far", "far", vpc_id=other.id, tags={"karpenter.sh/discovery": "test"})
    assert group.vpc_id == other.id
    found = checks(capsys, code=1)
    assert [about(found, what)["state"] for what in ("subnets", "security groups")] == ["fail", "fail"]


@pytest.mark.parametrize(
    ("code", "value", "said"),
    [
        ("L-417A185B", 0.0, "Running On-Demand P instances: 0 vCPUs: none can be launched"),
        ("L-C4BD4855", 8.0, "All P5 Spot Instance Requests: 8 vCPUs: too few for p5.4xlarge, which has 16"),
        ("L-DB2E81BA", 1.0, "Running On-Demand G and VT instances: 1 vCPUs: too few for g6f.large, which has 2"),
    ],
)
def test_quotas_that_are_too_small(
    capsys: pytest.CaptureFixture[str], moto: Moto, code: str, value: float, said: str
) -> None:
    moto.world.quotas[code] = value
    found = about(checks(capsys), "quotas")
    assert (found["state"], found["found"]) == ("warn", said)
    assert code in found["do"]


def test_quotas_that_may_not_be_read(capsys: pytest.CaptureFixture[str], moto: Moto) -> None:
    moto.deny("servicequotas:ListServiceQuotas")
    found = about(checks(capsys), "quotas")
    assert (found["state"], found["found"]) == ("warn", "cannot be read: AccessDeniedException")


@pytest.mark.parametrize("what", ["expired", "no credentials", "no answer"])
def test_an_account_that_cannot_be_asked_is_the_worlds_failure(
    capsys: pytest.CaptureFixture[str], moto: Moto, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    if what == "expired":
        moto.expire()
    elif what == "no credentials":
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    else:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    [found] = checks(capsys, code=3)
    assert (found["state"], found["what"]) == ("fail", "credentials")
    assert found["do"]


def test_without_a_region_the_input_is_wrong(
    capsys: pytest.CaptureFixture[str], moto: Moto, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    assert main.run(["aws", "check", "--cluster", "test"]) == 2
    assert "no AWS region is given" in capsys.readouterr().err


def test_the_text_fits_the_terminal_and_counts(
    capsys: pytest.CaptureFixture[str], moto: Moto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    moto.world.quotas["L-417A185B"] = 0
    moto.deny("ec2:DescribeImages")
    out = printed(capsys, "check", "--cluster", "test", code=1)
    assert max(map(len, out.splitlines())) <= 80
    assert "fail  permissions      not allowed: ec2:DescribeImages\n" in out
    assert "                       → attach the policy" in out
    assert out.endswith("\n17 ok, 1 warning, 1 failure\n")
