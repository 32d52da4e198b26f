"""`fretsaw aws`: what an AWS account needs for Fretsaw, and whether it is there."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

import click

from fretsaw.cli import errors

_F = TypeVar("_F", bound=Callable[..., Any])

HELP = """What Fretsaw needs of an AWS account, and whether it is there.

\b
Examples:
  fretsaw aws iam-policy --cluster prod > policy.json
  fretsaw aws iam-policy --cluster prod --output cloudformation > fretsaw.json
                                  policies, queue, EventBridge rules, node role
  fretsaw aws check --cluster prod          before `fretsaw run --provider aws`
"""

POLICY_EPILOG = """
\b
Examples:
  fretsaw aws iam-policy --cluster prod --region eu-west-1 > policy.json
  aws iam put-role-policy --role-name fretsaw --policy-name fretsaw \\
      --policy-document file://policy.json
  fretsaw aws iam-policy --cluster prod -o cloudformation > fretsaw.json
  aws cloudformation deploy --stack-name fretsaw-prod --template-file fretsaw.json \\
      --capabilities CAPABILITY_NAMED_IAM

\b
Node classes with ssmParameter terms outside of /aws/service/ need ssm:GetParameter
on those parameters, and encrypted volumes a grant on their key, beside this policy.
"""

CHECK_EPILOG = """
\b
Examples:
  fretsaw aws check --cluster prod
  fretsaw aws check --cluster prod --region eu-west-1 --queue prod-events -o json
  kubectl exec deploy/fretsaw -- fretsaw aws check --cluster prod
                                            with the controller's own rights

\b
Exit codes: 0 all is there (warnings included) · 1 something failed · 2 a flag is
wrong · 3 AWS does not answer, or knows no credentials
"""


@click.group(help=HELP)
def aws() -> None:
    """Only groups its commands; see HELP."""


def _scope(command: _F) -> _F:
    """The options that say for which cluster."""
    cluster = click.option("--cluster", required=True, metavar="NAME", envvar="CLUSTER_NAME", help="The EKS cluster.")
    queue = click.option(
        "--queue", default="", metavar="NAME", envvar="INTERRUPTION_QUEUE", help="Of interruptions; the cluster's name."
    )
    role = click.option(
        "--node-role", default="", metavar="NAME|ARN", help="That nodes have; KarpenterNodeRole-<cluster>."
    )
    return cluster(queue(role(command)))


@aws.command("iam-policy", epilog=POLICY_EPILOG, short_help="Print the least that the controller has to be allowed.")
@_scope
@click.option("--region", default="*", metavar="REGION", help="Only this one; any by default.")
@click.option("--account", default="*", metavar="ID", help="Only this one; any by default.")
@click.option("--partition", default="aws", show_default=True, type=click.Choice(["aws", "aws-cn", "aws-us-gov"]))
@click.option("--with-check", is_flag=True, help="And what `fretsaw aws check` reads beside that.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["json", "cloudformation"]),
    default="json",
    show_default=True,
    help="The policy alone, or a template with all that belongs to it.",
)
def iam_policy(
    cluster: str,
    queue: str,
    node_role: str,
    region: str,
    account: str,
    partition: str,
    with_check: bool,
    output: str,
) -> int:
    """Print an IAM policy with every call that Fretsaw makes, each on no more than what it needs.

    The policy is made from the table by which the calls are made: what is not in it is not asked.
    """
    from fretsaw.providers.aws.account import policy, template

    scope = policy.Scope(
        cluster=cluster, queue=queue, node_role=node_role, region=region, account=account, partition=partition
    )
    policy.check(scope)
    if output == "cloudformation":
        if (region, account, partition) != ("*", "*", "aws") or with_check:
            message = "a template is for the account and region that it is deployed in"
            raise click.UsageError(f"{message}: leave out --region, --account, --partition and --with-check")
        made = template.cloudformation(scope)
    else:
        made = policy.document(scope, with_check=with_check)
    click.echo(json.dumps(made, indent=2))
    return errors.DONE


@aws.command(epilog=CHECK_EPILOG, short_help="Look whether an account has what Fretsaw needs.")
@_scope
@click.option("--region", default="", metavar="REGION", help="By default AWS_REGION, or that of the profile.")
@click.option("--profile", default="", metavar="NAME", help="Of ~/.aws/config.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def check(cluster: str, queue: str, node_role: str, region: str, profile: str, output: str) -> int:
    """Look at credentials, permissions, cluster, queue, subnets, security groups and quotas; change nothing.

    Permissions are tried as dry runs. Run it with the rights that the controller will have.
    """
    import asyncio

    from fretsaw.cli import aws_view
    from fretsaw.providers.aws.account import policy
    from fretsaw.providers.aws.account.checks import Finding, Unreachable, checked
    from fretsaw.providers.aws.calls import Aws, Limits

    scope = policy.Scope(cluster=cluster, queue=queue, node_role=node_role)
    policy.check(scope)

    async def act() -> list[Finding]:
        async with await Aws.connect(region, profile=profile, limits=Limits(attempts=3, read_s=20)) as session:
            return await checked(session, scope)

    try:
        found, code = asyncio.run(act()), errors.DONE
    except Unreachable as error:
        found, code = [error.finding], errors.WORLD_FAILED
    if code == errors.DONE and any(one.state == "fail" for one in found):
        code = errors.FOUND
    if output == "json":
        click.echo(aws_view.as_json(found))
    else:
        aws_view.draw(found)
    return code
