"""The moto server of a test process: started once, reset between tests."""

from __future__ import annotations

import json
import os
import secrets
import tempfile
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from fretsaw.providers.aws.calls import Aws, Limits
from support.aws import answers, describing, fleet, images
from support.aws.gate import Asked, Fault, Gate
from support.aws.seed import Seeded, seed
from support.aws.world import ACCOUNT, CURRENT, REGION, World

QUICK = Limits(attempts=2)
"""A session of tests tries twice: faults that last would take half a minute with the usual patience."""


class Moto:
    """AWS on the loopback. `seeded` is what is there after each reset, `world` what tests script."""

    def __init__(self, server: Any, gate: Gate) -> None:
        self.gate = gate
        self.url = f"http://127.0.0.1:{server.server_port}"
        self.seeded: Seeded
        self._server = server
        self._thread = threading.Thread(target=server.serve_forever, name="moto", daemon=True)
        self._thread.start()
        self.reset()

    @classmethod
    def start(cls) -> Moto:
        """A server on a free port. Takes two seconds, nearly all of it for importing moto."""
        _without_images()
        from moto.moto_server.werkzeug_app import (
            DomainDispatcherApplication,
            MotoRequestHandler,
            create_backend_app,
        )
        from werkzeug.serving import make_server

        class Quiet(MotoRequestHandler):
            def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
                """Nothing: the gate remembers."""

        _patch()
        gate = Gate(DomainDispatcherApplication(create_backend_app))
        gate.answers.update(answers.ANSWERS)
        return cls(make_server("127.0.0.1", 0, gate, threaded=True, request_handler=Quiet), gate)

    def stop(self) -> None:
        """Let go of the port. moto's state stays in the process until the next reset."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def reset(self) -> None:
        """An account as `seed` makes it, nothing scripted, nothing asked."""
        from moto.core.base_backend import BackendDict
        from moto.core.model_instances import reset_model_data

        BackendDict.reset()
        reset_model_data()
        CURRENT["now"] = World()
        self.gate.forget()
        self.seeded = seed()

    @property
    def world(self) -> World:
        """What is scripted."""
        return CURRENT["now"]

    @property
    def environment(self) -> dict[str, str]:
        """For a process that shall take this for AWS."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "AKIATEST",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def session(self, limits: Limits = QUICK) -> AbstractAsyncContextManager[Aws]:
        """A session with this server; credentials are in the environment that the fixture `moto` sets."""
        return _Opening(self.url, limits)

    # Faults

    def fail(
        self,
        call: str,
        code: str,
        message: str = "",
        *,
        status: int = 400,
        times: int | None = 1,
        after: bool = False,
        when: Callable[[dict[str, Any]], bool] | None = None,
    ) -> None:
        """Answer a call with an error. after: only after it was done, as when the answer is lost."""
        self.gate.script(call, Fault(code, message, status, times, after, when))

    def throttle(self, call: str, times: int | None = 1) -> None:
        """Let a call come too soon, so many times."""
        self.fail(call, "RequestLimitExceeded", "Request limit exceeded.", status=503, times=times)

    def deny(self, call: str) -> None:
        """Let IAM not allow a call, until `allow`."""
        code = "UnauthorizedOperation" if call.startswith("ec2:") else "AccessDeniedException"
        message = f"User: arn:aws:sts::{ACCOUNT}:assumed-role/test is not authorized to perform: {call}"
        self.fail(call, code, message, status=403, times=None)

    def expire(self, times: int | None = None) -> None:
        """Let the credentials be out of date, until `allow`."""
        self.fail("*", "ExpiredToken", "The security token included in the request is expired", status=403, times=times)

    def allow(self, call: str = "") -> None:
        """Take the faults of a call back, or all."""
        self.gate.unscript(call)

    # Capacity

    def sell_out(self, name: str, zone: str = "*", capacity: str = "*") -> None:
        """Have none of an offering."""
        self.stock(name, zone, capacity, 0)

    def stock(self, name: str, zone: str, capacity: str, count: int) -> None:
        """Have so many of an offering left."""
        self.world.stock[name, zone, capacity] = count

    def refuse(self, name: str, zone: str, capacity: str, code: str, message: str = "") -> None:
        """Let CreateFleet refuse an offering with this code."""
        self.world.refusals[name, zone, capacity] = (code, message or f"{code}, as the test wants it")

    def fill_subnet(self, subnet: str) -> None:
        """Leave no free address in a subnet."""
        self.world.full_subnets.add(subnet)

    def hide_instances(self, looks: int) -> None:
        """From now on, a new instance is not found the first so many times that instances are described."""
        self.world.hidden_looks = looks

    def die_at_boot(self, code: str = "Client.InternalError", message: str = "Client error on launch") -> None:
        """Let the next instance end at once, with this state reason."""
        self.world.dying.append((code, message))

    def reserve(self, name: str, zone: str, count: int, **more: Any) -> str:
        """A capacity reservation; returns its id. more: fields of the answer in the place of the usual ones."""
        identity = f"cr-{secrets.token_hex(8)}"
        self.world.reservations[identity] = {
            "CapacityReservationId": identity,
            "OwnerId": ACCOUNT,
            "InstanceType": name,
            "AvailabilityZone": zone,
            "InstancePlatform": "Linux/UNIX",
            "Tenancy": "default",
            "TotalInstanceCount": count,
            "AvailableInstanceCount": count,
            "State": "active",
            "InstanceMatchCriteria": "targeted",
            "ReservationType": "default",
            "EndDateType": "unlimited",
            "Tags": [],
            **more,
        }
        return identity

    def place(self, name: str, strategy: str = "cluster", **more: Any) -> str:
        """A placement group; returns its id."""
        identity = f"pg-{secrets.token_hex(8)}"
        self.world.placement_groups[identity] = {
            "GroupId": identity,
            "GroupName": name,
            "State": "available",
            "Strategy": strategy,
            "Tags": [],
            **more,
        }
        return identity

    # Images and parameters

    add_image = staticmethod(images.add_image)
    set_parameter = staticmethod(images.set_parameter)
    drop_parameter = staticmethod(images.drop_parameter)

    # What is there

    @property
    def asked(self) -> list[Asked]:
        """Every call since the reset."""
        return self.gate.asked

    def count(self, call: str) -> int:
        """How often a call was asked."""
        return sum(one.call == call for one in self.gate.asked)

    def instances(self, *states: str) -> list[Any]:
        """moto's instances in these states; pending and running where none is named."""
        wanted = states or ("pending", "running")
        return [one for one in self.backend("ec2").all_instances() if one.state in wanted]

    def send(self, body: str | dict[str, Any]) -> None:
        """Put a message into the cluster's queue."""
        text = body if isinstance(body, str) else json.dumps(body)
        self.backend("sqs").send_message(self.seeded.cluster, text)

    def backend(self, service: str) -> Any:
        """moto's own state of a service."""
        from moto.backends import get_backend

        region = "aws" if service == "iam" else REGION
        every: Any = get_backend
        return every(service)[ACCOUNT][region]


class _Opening(AbstractAsyncContextManager[Aws]):
    """Connects when it is entered, so that tests need one `async with`."""

    def __init__(self, url: str, limits: Limits) -> None:
        self._url, self._limits = url, limits

    async def __aenter__(self) -> Aws:
        self._aws = await Aws.connect(REGION, endpoint=self._url, limits=self._limits)
        return self._aws

    async def __aexit__(self, *_: object) -> None:
        await self._aws.close()


def _without_images() -> None:
    """Keep moto from making its 1,300 old images at every reset. To be called before moto is imported."""
    empty = Path(tempfile.gettempdir()) / "fretsaw-tests-no-images.json"
    empty.write_text("[]")
    os.environ["MOTO_AMIS_PATH"] = str(empty)


def _patch() -> None:
    """Lay our methods over moto's, once for the process."""
    from moto.ec2.models.subnets import Subnet
    from moto.ec2.responses import EC2Response

    response: Any = EC2Response
    if getattr(response, "fretsaw_patched", False):
        return
    response.fretsaw_patched = True
    response.create_fleet = fleet.create_fleet
    for method in describing.REPLACED:
        setattr(response, method.__name__, method)
    for name in describing.FORGET_DRY_RUN:
        setattr(response, name, describing.describe_launchless(getattr(response, name)))
    response.describe_instances = describing.describe_instances(response.describe_instances)
    subnet: Any = Subnet
    free = subnet.available_ip_address_count.fget
    subnet.available_ip_address_count = property(
        lambda self: 0 if self.id in CURRENT["now"].full_subnets else free(self)
    )
