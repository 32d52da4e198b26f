"""Whether the moto server does what AWS does where tests have laid methods over it. One test for each of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from fretsaw.providers.aws.calls import Aws, AwsError
from support.aws import Moto

Act = Callable[[Aws], Awaitable[Any]]


def on(moto: Moto, act: Act) -> Any:
    """What an action with a session gives."""

    async def whole() -> Any:
        async with moto.session() as aws:
            return await act(aws)

    return asyncio.run(whole())


def template(moto: Moto, name: str = "template", **data: Any) -> dict[str, Any]:
    image = next(iter(moto.seeded.images.values())).id
    return {"LaunchTemplateName": name, "LaunchTemplateData": {"ImageId": image, **data}}


def order(moto: Moto, *types: str, count: int = 1, capacity: str = "on-demand", **more: Any) -> dict[str, Any]:
    """Parameters of an instant fleet of these types in all zones."""
    overrides = [
        {"InstanceType": name, "SubnetId": subnet, "AvailabilityZone": zone}
        for name in types
        for zone, subnet in moto.seeded.subnets.items()
    ]
    return {
        "Type": "instant",
        "TargetCapacitySpecification": {"TotalTargetCapacity": count, "DefaultTargetCapacityType": capacity},
        "LaunchTemplateConfigs": [
            {
                "LaunchTemplateSpecification": {"LaunchTemplateName": "template", "Version": "$Latest"},
                "Overrides": overrides,
            }
        ],
        **more,
    }


def fleet(moto: Moto, *types: str, data: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """The answer to an order with a fresh launch template."""

    async def act(aws: Aws) -> dict[str, Any]:
        await aws.ask("ec2:CreateLaunchTemplate", **template(moto, **data or {}))
        return await aws.ask("ec2:CreateFleet", **order(moto, *types, **more))

    answer: dict[str, Any] = on(moto, act)
    return answer


def taken(answer: dict[str, Any]) -> list[tuple[str, str, int]]:
    """(type, zone, how many) of what a fleet launched."""
    return [
        (
            one["InstanceType"],
            one["LaunchTemplateAndOverrides"]["Overrides"]["AvailabilityZone"],
            len(one["InstanceIds"]),
        )
        for one in answer["Instances"]
    ]


def refused(answer: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(type, zone, code) of what a fleet could not have."""
    return [
        (
            one["LaunchTemplateAndOverrides"]["Overrides"]["InstanceType"],
            one["LaunchTemplateAndOverrides"]["Overrides"]["AvailabilityZone"],
            one["ErrorCode"],
        )
        for one in answer["Errors"]
    ]


ICE = "InsufficientInstanceCapacity"
HEALTHY = {"Status": "ok", "Details": [{"Name": "reachability", "Status": "passed"}]}


def test_a_fleet_takes_the_cheapest_override_whatever_their_order(moto: Moto) -> None:
    answer = fleet(moto, "p5.48xlarge", "g5.xlarge", "g4dn.xlarge")
    assert taken(answer) == [("g4dn.xlarge", "us-east-1a", 1)]
    assert refused(answer) == []


def test_a_spot_fleet_goes_by_the_price_of_the_zone(moto: Moto) -> None:
    moto.world.spot_prices["g5.xlarge", "us-east-1c"] = 0.1
    assert taken(fleet(moto, "g5.xlarge", capacity="spot")) == [("g5.xlarge", "us-east-1c", 1)]


def test_a_prioritized_fleet_goes_by_priority(moto: Moto) -> None:
    asked = order(moto, "g4dn.xlarge", "g5.xlarge", OnDemandOptions={"AllocationStrategy": "prioritized"})
    for override in asked["LaunchTemplateConfigs"][0]["Overrides"]:
        override["Priority"] = 1.0 if override["InstanceType"] == "g5.xlarge" else 2.0

    async def act(aws: Aws) -> dict[str, Any]:
        await aws.ask("ec2:CreateLaunchTemplate", **template(moto))
        return await aws.ask("ec2:CreateFleet", **asked)

    assert taken(on(moto, act)) == [("g5.xlarge", "us-east-1a", 1)]


def test_what_is_sold_out_is_reported_and_the_next_is_taken(moto: Moto) -> None:
    moto.sell_out("g4dn.xlarge")
    answer = fleet(moto, "g4dn.xlarge", "g5.xlarge")
    assert taken(answer) == [("g5.xlarge", "us-east-1a", 1)]
    assert refused(answer) == [("g4dn.xlarge", zone, ICE) for zone in moto.seeded.subnets]


def test_a_fleet_is_filled_as_far_as_stock_goes(moto: Moto) -> None:
    moto.sell_out("*")
    moto.stock("g5.xlarge", "us-east-1b", "on-demand", 2)
    answer = fleet(moto, "g5.xlarge", count=5)
    assert taken(answer) == [("g5.xlarge", "us-east-1b", 2)]
    assert sorted(refused(answer)) == [("g5.xlarge", zone, ICE) for zone in sorted(moto.seeded.subnets)]
    assert len(moto.instances()) == 2


def test_a_refused_offering_has_its_own_code(moto: Moto) -> None:
    moto.refuse("*", "*", "spot", "MaxSpotInstanceCountExceeded")
    answer = fleet(moto, "g5.xlarge", capacity="spot")
    assert answer["Instances"] == []
    assert {code for _, _, code in refused(answer)} == {"MaxSpotInstanceCountExceeded"}


def test_a_full_subnet_gives_nothing_and_says_so(moto: Moto) -> None:
    moto.fill_subnet(moto.seeded.subnets["us-east-1a"])
    answer = fleet(moto, "g5.xlarge")
    assert taken(answer) == [("g5.xlarge", "us-east-1b", 1)]
    assert refused(answer) == [("g5.xlarge", "us-east-1a", "InsufficientFreeAddressesInSubnet")]
    found = on(moto, lambda aws: aws.pages("ec2:DescribeSubnets", "Subnets"))
    free = {one["SubnetId"]: one["AvailableIpAddressCount"] for one in found}
    assert free[moto.seeded.subnets["us-east-1a"]] == 0
    assert free[moto.seeded.subnets["us-east-1c"]] > 4000


def test_the_same_token_launches_once(moto: Moto) -> None:
    async def act(aws: Aws) -> tuple[Any, Any]:
        await aws.ask("ec2:CreateLaunchTemplate", **template(moto))
        asked = order(moto, "g5.xlarge", ClientToken="token")
        return await aws.ask("ec2:CreateFleet", **asked), await aws.ask("ec2:CreateFleet", **asked)

    first, second = on(moto, act)
    assert first["Instances"] == second["Instances"]
    assert len(moto.instances()) == 1
    with pytest.raises(AwsError) as other:
        on(moto, lambda aws: aws.ask("ec2:CreateFleet", **order(moto, "g4dn.xlarge", ClientToken="token")))
    assert other.value.code == "IdempotentParameterMismatch"


def test_an_answer_that_is_lost_has_still_launched(moto: Moto) -> None:
    moto.fail("ec2:CreateFleet", "InternalError", status=500, after=True)
    answer = fleet(moto, "g5.xlarge")  # the session's second attempt, with the same token
    assert [id for one in answer["Instances"] for id in one["InstanceIds"]] == moto.world.launched
    assert moto.count("ec2:CreateFleet") == 2


def test_a_dry_run_launches_nothing(moto: Moto) -> None:
    with pytest.raises(AwsError) as passed:
        fleet(moto, "g5.xlarge", DryRun=True)
    assert passed.value.code == "DryRunOperation"
    assert not moto.instances()


def test_a_missing_template_is_refused_with_its_code(moto: Moto) -> None:
    with pytest.raises(AwsError) as missing:
        on(moto, lambda aws: aws.ask("ec2:CreateFleet", **order(moto, "g5.xlarge")))
    assert missing.value.code == "InvalidLaunchTemplateName.NotFoundException"


def described(moto: Moto, *ids: str) -> list[dict[str, Any]]:
    found = on(
        moto, lambda aws: aws.pages("ec2:DescribeInstances", "Reservations", **({"InstanceIds": [*ids]} if ids else {}))
    )
    return [instance for one in found for instance in one["Instances"]]


def test_an_instance_of_a_fleet_has_what_moto_leaves_out(moto: Moto) -> None:
    iam = moto.backend("iam")
    iam.create_instance_profile(name="nodes", path="/", role_names=[], tags=[])
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "from", "Value": "fleet"}]}]
    groups = list(moto.seeded.security_groups)
    interfaces = [
        {"DeviceIndex": 0, "NetworkCardIndex": 0, "InterfaceType": "efa", "Groups": groups},
        {"DeviceIndex": 1, "NetworkCardIndex": 1, "InterfaceType": "efa", "Groups": groups},
    ]
    data = {"IamInstanceProfile": {"Name": "nodes"}, "NetworkInterfaces": interfaces}
    fleet(moto, "p5.48xlarge", capacity="spot", data=data, TagSpecifications=tags)
    [instance] = described(moto)
    assert instance["InstanceLifecycle"] == "spot"
    assert instance["SpotInstanceRequestId"].startswith("sir-")
    assert instance["IamInstanceProfile"]["Arn"].endswith("instance-profile/nodes")
    assert [one["InterfaceType"] for one in instance["NetworkInterfaces"]] == ["efa", "efa"]
    assert instance["Placement"]["AvailabilityZone"] == "us-east-1a"
    assert instance["Placement"]["AvailabilityZoneId"]
    assert {"Key": "from", "Value": "fleet"} in instance["Tags"]
    assert {group["GroupId"] for group in instance["SecurityGroups"]} == set(groups)


def test_a_profile_or_image_that_there_is_not_is_an_error_of_the_fleet(moto: Moto) -> None:
    answer = fleet(moto, "g5.xlarge", data={"IamInstanceProfile": {"Name": "nobody"}})
    assert {code for _, _, code in refused(answer)} == {"InvalidParameterValue"}
    moto.reset()
    answer = fleet(moto, "g5.xlarge", data={"ImageId": "ami-0123456789abcdef0"})
    assert {code for _, _, code in refused(answer)} == {"InvalidAMIID.NotFound"}


def test_a_new_instance_is_not_found_at_once(moto: Moto) -> None:
    moto.hide_instances(looks=2)
    [identity] = fleet(moto, "g5.xlarge")["Instances"][0]["InstanceIds"]
    with pytest.raises(AwsError) as missing:
        described(moto, identity)
    assert missing.value.code == "InvalidInstanceID.NotFound"
    assert described(moto) == []
    assert [one["InstanceId"] for one in described(moto, identity)] == [identity]


def test_an_instance_can_die_at_boot(moto: Moto) -> None:
    moto.die_at_boot("Client.InvalidKMSKey.InvalidState", "The KMS key is disabled")
    fleet(moto, "g5.xlarge", count=2)
    first, second = sorted(described(moto), key=lambda one: one["State"]["Name"])
    assert (first["State"]["Name"], second["State"]["Name"]) == ("running", "shutting-down")
    assert second["StateReason"] == {"Code": "Client.InvalidKMSKey.InvalidState", "Message": "The KMS key is disabled"}


def test_reservations_are_described_used_and_used_up(moto: Moto) -> None:
    identity = moto.reserve("p5.48xlarge", "us-east-1b", 1, Tags=[{"Key": "team", "Value": "ml"}])
    other = moto.reserve("p4d.24xlarge", "us-east-1a", 4)
    target = {
        "CapacityReservationPreference": "capacity-reservations-only",
        "CapacityReservationTarget": {"CapacityReservationId": identity},
    }
    answer = fleet(moto, "p5.48xlarge", count=2, data={"CapacityReservationSpecification": target})
    assert taken(answer) == [("p5.48xlarge", "us-east-1b", 1)]
    assert {code for _, _, code in refused(answer)} == {"ReservationCapacityExceeded"}
    [instance] = described(moto)
    assert instance["CapacityReservationId"] == identity

    def asked(**parameters: Any) -> dict[str, int]:
        call = "ec2:DescribeCapacityReservations"
        found = on(moto, lambda aws: aws.pages(call, "CapacityReservations", **parameters))
        return {one["CapacityReservationId"]: one["AvailableInstanceCount"] for one in found}

    assert asked() == {identity: 0, other: 4}
    assert asked(Filters=[{"Name": "tag:team", "Values": ["ml"]}]) == {identity: 0}
    assert asked(Filters=[{"Name": "tag-key", "Values": ["team"]}], CapacityReservationIds=[identity]) == {identity: 0}
    assert asked(Filters=[{"Name": "state", "Values": ["expired"]}]) == {}
    with pytest.raises(AwsError) as missing:
        asked(CapacityReservationIds=["cr-0"])
    assert missing.value.code == "InvalidCapacityReservationId.NotFound"
    on(moto, lambda aws: aws.ask("ec2:TerminateInstances", InstanceIds=[instance["InstanceId"]]))
    assert asked() == {identity: 1, other: 4}


def test_placement_groups_are_found_by_name_and_id(moto: Moto) -> None:
    identity = moto.place("together", PartitionCount=3, strategy="partition")

    def asked(**parameters: Any) -> list[str]:
        answer = on(moto, lambda aws: aws.ask("ec2:DescribePlacementGroups", **parameters))
        return [one["GroupId"] for one in answer["PlacementGroups"]]

    assert asked(GroupNames=["together"]) == asked(GroupIds=[identity]) == asked() == [identity]
    with pytest.raises(AwsError) as missing:
        asked(GroupNames=["apart"])
    assert missing.value.code == "InvalidPlacementGroup.Unknown"


def test_types_and_offerings_come_in_pages(moto: Moto) -> None:
    answer = on(moto, lambda aws: aws.ask("ec2:DescribeInstanceTypes", MaxResults=10))
    assert len(answer["InstanceTypes"]) == 10
    assert answer["NextToken"]
    names = [
        one["InstanceType"]
        for one in on(moto, lambda aws: aws.pages("ec2:DescribeInstanceTypes", "InstanceTypes", MaxResults=10))
    ]
    assert len(names) == len(set(names)) > 80
    assert {"p5.48xlarge", "trn2.48xlarge", "g6f.large", "m5.large"} <= set(names)
    call = "ec2:DescribeInstanceTypeOfferings"
    found = on(
        moto, lambda aws: aws.pages(call, "InstanceTypeOfferings", LocationType="availability-zone", MaxResults=50)
    )
    assert {"p5.48xlarge", "g6f.large", "m5.large"} <= {one["InstanceType"] for one in found} < set(names)
    assert moto.count(call) == -(-len(found) // 50)


def test_spot_prices_are_of_today_and_differ_by_zone(moto: Moto) -> None:
    call = "ec2:DescribeSpotPriceHistory"
    found = on(moto, lambda aws: aws.pages(call, "SpotPriceHistory", InstanceTypes=["g5.xlarge"], MaxResults=2))
    prices = {one["AvailabilityZone"]: float(one["SpotPrice"]) for one in found}
    assert prices["us-east-1a"] == pytest.approx(1.006 * 0.4)
    assert len(set(prices.values())) == len(prices) > 2


def test_products_and_quotas_are_answered(moto: Moto) -> None:
    shared = [{"Type": "TERM_MATCH", "Field": "productFamily", "Value": "Compute Instance"}]
    found = on(moto, lambda aws: aws.pages("pricing:GetProducts", "PriceList", ServiceCode="AmazonEC2", Filters=shared))
    assert any('"instanceType": "p5.48xlarge"' in one for one in found)
    assert not any(".metal" in one for one in found)
    moto.world.quotas["L-417A185B"] = 0.0
    quotas = on(moto, lambda aws: aws.pages("servicequotas:ListServiceQuotas", "Quotas", ServiceCode="ec2"))
    assert {one["QuotaCode"]: one["Value"] for one in quotas}["L-417A185B"] == 0.0


def test_status_is_ok_until_it_is_scripted(moto: Moto) -> None:
    [first, second] = fleet(moto, "g5.xlarge", count=2)["Instances"][0]["InstanceIds"]
    event = {"Code": "instance-stop", "Description": "maintenance", "InstanceEventId": "instance-event-1"}
    moto.world.statuses[second] = {"SystemStatus": {"Status": "impaired"}, "Events": [event]}

    def asked(name: str, value: str) -> list[str]:
        filters = [{"Name": name, "Values": [value]}]
        call = "ec2:DescribeInstanceStatus"
        found = on(moto, lambda aws: aws.pages(call, "InstanceStatuses", Filters=filters))
        return [one["InstanceId"] for one in found]

    assert asked("system-status.status", "impaired") == [second]
    assert asked("instance-status.status", "impaired") == []
    assert asked("event.code", "instance-stop") == [second]
    assert sorted(asked("instance-status.status", "ok")) == sorted([first, second])


def test_images_and_parameters_of_eks_are_there(moto: Moto) -> None:
    folder = "/aws/service/eks/optimized-ami/1.34/amazon-linux-2023/x86_64/nvidia"
    name = f"{folder}/recommended/image_id"
    value = on(moto, lambda aws: aws.ask("ssm:GetParameter", Name=name))["Parameter"]["Value"]
    images = on(moto, lambda aws: aws.pages("ec2:DescribeImages", "Images", Owners=["amazon"]))
    assert {one["ImageId"]: one["Name"] for one in images}[
        value
    ] == "amazon-eks-node-al2023-x86_64-nvidia-1.34-v20261115"
    moto.drop_parameter(name)
    with pytest.raises(AwsError) as missing:
        on(moto, lambda aws: aws.ask("ssm:GetParameter", Name=name))
    assert missing.value.code == "ParameterNotFound"


def test_a_reset_takes_back_everything(moto: Moto) -> None:
    fleet(moto, "g5.xlarge")
    moto.sell_out("*")
    moto.deny("ec2:DescribeSubnets")
    moto.reset()
    assert moto.instances() == []
    assert moto.asked == []
    assert len(on(moto, lambda aws: aws.pages("ec2:DescribeSubnets", "Subnets"))) == 12
    assert taken(fleet(moto, "g5.xlarge")) == [("g5.xlarge", "us-east-1a", 1)]
