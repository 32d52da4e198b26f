"""A session with AWS: what it sends, how it tries again, what its errors say, where it finds region and credentials."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from fretsaw import __version__
from fretsaw.errors import BrokenInvariant, UserError
from fretsaw.providers.aws.calls import Aws, AwsError, Limits
from fretsaw.providers.aws.calls.region import serving
from support.aws import Moto

Act = Callable[[Aws], Awaitable[Any]]


def on(moto: Moto, act: Act, limits: Limits | None = None) -> Any:
    async def whole() -> Any:
        async with moto.session(limits or Limits(attempts=2)) as aws:
            return await act(aws)

    return asyncio.run(whole())


def subnets(aws: Aws) -> Awaitable[list[Any]]:
    return aws.pages("ec2:DescribeSubnets", "Subnets")


def connecting(**given: Any) -> Any:
    """A session's region, made without asking AWS anything."""

    async def whole() -> str:
        async with await Aws.connect(**given) as aws:
            return aws.region

    return asyncio.run(whole())


def failing(moto: Moto, act: Act = subnets) -> AwsError:
    with pytest.raises(AwsError) as caught:
        on(moto, act, Limits(attempts=1))
    return caught.value


def test_a_call_is_signed_and_says_who_asks(moto: Moto) -> None:
    assert len(on(moto, subnets)) == 12
    [asked] = moto.asked
    assert (asked.call, asked.region, asked.key) == ("ec2:DescribeSubnets", "us-east-1", "AKIATEST")
    assert asked.agent.startswith(f"fretsaw/{__version__} ")


def test_a_call_that_no_policy_allows_is_not_made(moto: Moto) -> None:
    with pytest.raises(BrokenInvariant, match="ec2:RebootInstances is not in the table"):
        on(moto, lambda aws: aws.ask("ec2:RebootInstances", InstanceIds=["i-1"]))
    assert moto.asked == []


def test_tasks_that_ask_at_once_share_a_client(moto: Moto) -> None:
    made: list[str] = []

    async def act(aws: Aws) -> None:
        make = aws._make

        async def counted(service: str) -> Any:
            made.append(service)
            return await make(service)

        aws._make = counted  # type: ignore[method-assign]
        await asyncio.gather(*(subnets(aws) for _ in range(5)), aws.ask("sts:GetCallerIdentity"))

    on(moto, act)
    assert sorted(made) == ["ec2", "sts"]


def test_a_throttled_call_is_made_again(moto: Moto) -> None:
    moto.throttle("ec2:DescribeSubnets")
    assert len(on(moto, subnets)) == 12
    assert moto.count("ec2:DescribeSubnets") == 2


@pytest.mark.parametrize(
    ("call", "code", "status", "retry"),
    [
        pytest.param("ec2:DescribeSubnets", "RequestLimitExceeded", 503, True, id="throttled by EC2"),
        pytest.param("ssm:GetParameter", "ThrottlingException", 400, True, id="throttled by a JSON service"),
        pytest.param("iam:ListInstanceProfiles", "Throttling", 400, True, id="throttled by IAM"),
        pytest.param("ec2:DescribeSubnets", "InternalError", 500, True, id="a server's fault"),
        pytest.param("ec2:DescribeSubnets", "Whatever", 502, True, id="any code with a server's status"),
        pytest.param("ec2:DescribeSubnets", "RequestExpired", 400, True, id="expired: read anew next time"),
        pytest.param("ec2:DescribeSubnets", "UnauthorizedOperation", 403, False, id="not allowed"),
        pytest.param("sqs:GetQueueUrl", "AccessDenied", 403, False, id="not allowed, of SQS"),
        pytest.param("ec2:DescribeSubnets", "InvalidParameterValue", 400, False, id="wrong"),
    ],
)
def test_errors_keep_their_code_and_say_whether_to_try_later(
    moto: Moto, call: str, code: str, status: int, retry: bool
) -> None:
    parameters = {"ssm:GetParameter": {"Name": "/x"}, "sqs:GetQueueUrl": {"QueueName": "test"}}.get(call, {})
    moto.fail(call, code, "so it is", status=status, times=None)
    error = failing(moto, lambda aws: aws.ask(call, **parameters))
    assert (error.call, error.code, error.message, error.retry) == (call, code, "so it is", retry)
    assert str(error) == f"{call}: {code}: so it is"


def test_wrong_parameters_are_not_sent(moto: Moto) -> None:
    error = failing(moto, lambda aws: aws.ask("ec2:DescribeSubnets", Subnet="no such parameter"))
    assert (error.code, error.retry) == ("NotAsked", False)
    assert moto.asked == []


def test_without_credentials_nothing_is_asked(moto: Moto, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    error = failing(moto)
    assert (error.code, error.retry) == ("NoCredentials", True)
    assert moto.asked == []


def test_credentials_that_expired_are_read_anew(moto: Moto, monkeypatch: pytest.MonkeyPatch) -> None:
    moto.expire(times=1)

    async def act(aws: Aws) -> list[Any]:
        with pytest.raises(AwsError, match="ExpiredToken"):
            await subnets(aws)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIANEW")
        return await subnets(aws)

    assert len(on(moto, act, Limits(attempts=1))) == 12
    assert [asked.key for asked in moto.asked] == ["AKIATEST", "AKIANEW"]


def test_calls_under_way_outlive_the_renewal_of_credentials(moto: Moto) -> None:
    """Others of the same client are not cut off when one of them finds the credentials expired."""
    moto.fail("ec2:DescribeSubnets", "ExpiredToken", times=1)

    async def act(aws: Aws) -> list[Any]:
        others = [aws.pages("ec2:DescribeInstanceTypes", "InstanceTypes") for _ in range(3)]
        return await asyncio.gather(subnets(aws), *others, return_exceptions=True)

    first, *others = on(moto, act, Limits(attempts=1))
    assert isinstance(first, AwsError)
    assert all(isinstance(found, list) and len(found) > 80 for found in others)


@contextmanager
def deaf() -> Iterator[str]:
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_no_answer_is_an_error_that_may_pass(moto: Moto) -> None:
    async def asking(endpoint: str) -> None:
        limits = Limits(connect_s=0.2, read_s=0.2, attempts=1)
        async with await Aws.connect("us-east-1", endpoint=endpoint, limits=limits) as aws:
            await subnets(aws)

    began = time.monotonic()
    with deaf() as url, pytest.raises(AwsError) as silent:
        asyncio.run(asking(url))
    with pytest.raises(AwsError) as closed:
        asyncio.run(asking(url))
    assert [(one.value.code, one.value.retry) for one in (silent, closed)] == [("NoAnswer", True)] * 2
    assert time.monotonic() - began < 5


def test_observers_are_told_of_every_call(moto: Moto) -> None:
    told: list[tuple[str, str]] = []
    moto.deny("ec2:DescribeSubnets")

    async def act(aws: Aws) -> None:
        aws.observers.append(lambda call, code, seconds: told.append((call, code)))
        await aws.ask("sts:GetCallerIdentity")
        with pytest.raises(AwsError):
            await subnets(aws)

    on(moto, act)
    assert told == [("sts:GetCallerIdentity", ""), ("ec2:DescribeSubnets", "UnauthorizedOperation")]


def test_closing_twice_does_no_harm(moto: Moto) -> None:
    async def act(aws: Aws) -> None:
        await subnets(aws)
        await aws.close()

    on(moto, act)


def test_one_service_can_have_its_own_address(moto: Moto, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ENDPOINT_URL_EC2", moto.url)

    async def act() -> tuple[int, str]:
        async with await Aws.connect(limits=Limits(attempts=1)) as aws:
            with pytest.raises(AwsError) as other:
                await aws.ask("ssm:GetParameter", Name="/x")
            return len(await subnets(aws)), other.value.code

    assert asyncio.run(act()) == (12, "NoAnswer")


def test_without_the_extra_the_user_learns_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(sys.modules):
        if name.partition(".")[0] in ("aiobotocore", "botocore"):
            monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError, match=r"aiobotocore.*pip install 'fretsaw\[aws\]'"):
        connecting(region="us-east-1")


# Region


def test_the_region_is_the_given_one_else_that_of_the_environment(moto: Moto, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-north-1")
    assert connecting(region="us-west-2") == "us-west-2"
    assert connecting() == "eu-west-1"
    monkeypatch.delenv("AWS_REGION")
    assert connecting() == "eu-north-1"


def test_a_profile_brings_its_region(moto: Moto, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text("[profile gpu]\nregion = ap-south-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(file))
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    assert connecting(profile="gpu") == "ap-south-1"
    with pytest.raises(UserError, match="nobody"):
        connecting(profile="nobody")


class _Pages(BaseHTTPRequestHandler):
    """The pages that an instance or a pod can ask for."""

    pages: ClassVar[dict[str, str]] = {}

    def _answer(self) -> None:
        body = self.pages.get(self.path, "").encode()
        self.send_response(200 if body else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = _answer  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@contextmanager
def serving_pages(pages: dict[str, str]) -> Iterator[str]:
    handler = type("Pages", (_Pages,), {"pages": pages})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_on_an_instance_the_region_is_its_own(moto: Moto, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_EC2_METADATA_DISABLED"):
        monkeypatch.delenv(name)
    pages = {"/latest/api/token": "token", "/latest/meta-data/placement/availability-zone/": "eu-central-1b"}
    with serving_pages(pages) as url:
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", url)
        assert connecting() == "eu-central-1"


def test_without_a_region_one_is_asked_for_and_nothing_hangs(moto: Moto, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_EC2_METADATA_DISABLED"):
        monkeypatch.delenv(name)
    began = time.monotonic()
    with deaf() as url:
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", url)
        with pytest.raises(UserError, match="no AWS region is given") as caught:
            connecting()
    assert "--region" in str(caught.value)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("service", "region", "answers"),
    [
        ("ec2", "eu-west-1", "eu-west-1"),
        ("pricing", "us-west-2", "us-east-1"),
        ("pricing", "sa-east-1", "us-east-1"),
        ("pricing", "eu-west-1", "eu-central-1"),
        ("pricing", "ap-northeast-1", "ap-south-1"),
        ("pricing", "cn-north-1", "cn-northwest-1"),
    ],
)
def test_the_price_list_is_asked_where_it_is_kept(service: str, region: str, answers: str) -> None:
    assert serving(service, region) == answers


# Credentials of pods


def without_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")


def test_a_pod_with_a_role_of_irsa_signs_with_its_credentials(
    moto: Moto, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    without_keys(monkeypatch)
    token = tmp_path / "token"
    token.write_text("token")
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/controller")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(token))
    assert len(on(moto, subnets)) == 12
    assert moto.asked[-1].key.startswith("ASIA")


def test_a_pod_with_a_pod_identity_signs_with_its_credentials(
    moto: Moto, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    without_keys(monkeypatch)
    token = tmp_path / "token"
    token.write_text("token")
    page = {"AccessKeyId": "ASIAPOD", "SecretAccessKey": "s", "Token": "t", "Expiration": "2099-01-01T00:00:00Z"}
    with serving_pages({"/v1/credentials": json.dumps(page)}) as url:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{url}/v1/credentials")
        monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(token))
        assert len(on(moto, subnets)) == 12
    assert moto.asked[-1].key == "ASIAPOD"
