"""The CEL rules of EC2NodeClass, with the API server's messages.

Source: AWS provider v1.14 CRD. Two of its quirks are kept: the rules on subnets, security groups and reservations say
"not every term mixes", so one bad term among good ones passes, and of an empty list they say no; `ssmParameter` is in
no rule of exclusion.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from fretsaw.api.schema import Schema, rule

_ALONE = "cannot be set with a combination of other fields in"


def _any_of(subject: str, fields: Sequence[str]) -> str:
    return " || ".join(f"has({subject}.{name})" for name in fields)


def _listed(fields: Sequence[str]) -> str:
    return "[" + ", ".join(f"'{name}'" for name in fields) + "]"


def _some_field(*fields: str) -> Schema:
    return rule(
        f"self.all(t, {_any_of('t', fields)})",
        f"expected at least one, got none, {_listed(fields)}",
        "every term has to look for something",
    )


def _not_all_mix(alone: str, others: Sequence[str], message: str) -> Schema:
    return rule(
        f"!self.all(t, has(t.{alone}) && ({_any_of('t', others)}))", message, f"leave {alone} alone in its term"
    )


def _none_mixes(alone: str, others: Sequence[str], message: str) -> Schema:
    return rule(f"!self.exists(t, has(t.{alone}) && ({_any_of('t', others)}))", message, f"leave {alone} alone")


SUBNET_RULES: Final = (
    rule("self.size() != 0", "subnetSelectorTerms cannot be empty", "give at least one term"),
    _some_field("tags", "id"),
    _not_all_mix("id", ["tags"], f"'id' is mutually exclusive, {_ALONE} a subnet selector term"),
)
SECURITY_GROUP_RULES: Final = (
    rule("self.size() != 0", "securityGroupSelectorTerms cannot be empty", "give at least one term"),
    _some_field("tags", "id", "name"),
    _not_all_mix("id", ["tags", "name"], f"'id' is mutually exclusive, {_ALONE} a security group selector term"),
    _not_all_mix("name", ["tags", "id"], f"'name' is mutually exclusive, {_ALONE} a security group selector term"),
)
RESERVATION_RULES: Final = (
    _some_field("tags", "id", "instanceMatchCriteria"),
    _not_all_mix(
        "id",
        ["tags", "ownerID", "instanceMatchCriteria"],
        "'id' is mutually exclusive, cannot be set along with other fields in a capacity reservation selector term",
    ),
)
PLACEMENT_RULES: Final = (
    rule("has(self.name) || has(self.id)", "expected at least one, got none, ['name', 'id']", "give one of them"),
    rule("!(has(self.name) && has(self.id))", "'name' and 'id' are mutually exclusive", "keep one of them"),
)
AMI_TERM_RULES: Final = (
    _some_field("tags", "id", "name", "alias", "ssmParameter"),
    _none_mixes("id", ["alias", "tags", "name", "owner"], f"'id' is mutually exclusive, {_ALONE} amiSelectorTerms"),
    _none_mixes("alias", ["id", "tags", "name", "owner"], f"'alias' is mutually exclusive, {_ALONE} amiSelectorTerms"),
    rule(
        "self.size() == 1 || !self.exists(t, has(t.alias))",
        "'alias' is mutually exclusive, cannot be set with a combination of other amiSelectorTerms",
        "an alias has to be the only term",
    ),
)
FAMILIES: Final = {
    "al2": "AL2",
    "al2023": "AL2023",
    "bottlerocket": "Bottlerocket",
    "windows2019": "Windows2019",
    "windows2022": "Windows2022",
    "windows2025": "Windows2025",
}
ALIAS_RULES: Final = (
    rule(
        "self.matches('^[a-zA-Z0-9]+@.+$')",
        "'alias' is improperly formatted, must match the format 'family@version'",
        "such as al2023@latest",
    ),
    rule(
        f"self.find('^[^@]*') in {_listed(list(FAMILIES))}",
        f"family is not supported, must be one of the following: {_listed(list(FAMILIES))[1:-1]}",
        "in lower case, followed by @ and a version",
    ),
    rule(
        "!self.startsWith('windows') || self.endsWith('@latest')",
        "windows families may only specify version 'latest'",
        "for a certain image use its id",
    ),
)


def _family_rule(alias: str, family: str) -> Schema:
    return rule(
        f"!has(self.amiFamily) || self.amiFamily in ['{family}', 'Custom'] || "
        f"!self.amiSelectorTerms.exists(t, has(t.alias) && t.alias.startsWith('{alias}@'))",
        f"if set, amiFamily must be '{family}' or 'Custom' when using {_article(family)} {family} alias",
        "leave out amiFamily: the alias tells it",
    )


def _article(word: str) -> str:
    return "an" if word[0] in "A" else "a"


SPEC_RULES: Final = (
    rule(
        "has(self.role) != has(self.instanceProfile)",
        "must specify exactly one of ['role', 'instanceProfile']",
        "name a role to have a profile made, or a profile that exists",
    ),
    *(_family_rule(alias, family) for alias, family in FAMILIES.items()),
    rule(
        "has(self.amiFamily) || self.amiSelectorTerms.exists(t, has(t.alias))",
        "must specify amiFamily if amiSelectorTerms does not contain an alias",
        "say how the image is bootstrapped, such as AL2023",
    ),
)
TERM_TAG_RULE: Final = rule(
    "self.all(k, k != '' && self[k] != '')", "empty tag keys or values aren't supported", "for any value write '*'"
)


def _reserved_tag(condition: str, shown: str) -> Schema:
    return rule(
        f"self.all(k, {condition})",
        f"tag contains a restricted tag matching {shown}",
        "leave it out: it is set for you",
    )


TAG_RULES: Final = (
    rule("self.all(k, k != '')", "empty tag keys aren't supported", "name the tag"),
    _reserved_tag("k != 'eks:eks-cluster-name'", "eks:eks-cluster-name"),
    _reserved_tag("!k.startsWith('kubernetes.io/cluster')", "kubernetes.io/cluster/"),
    _reserved_tag("k != 'karpenter.sh/nodepool'", "karpenter.sh/nodepool"),
    _reserved_tag("k != 'karpenter.sh/nodeclaim'", "karpenter.sh/nodeclaim"),
    _reserved_tag("k != 'karpenter.k8s.aws/ec2nodeclass'", "karpenter.k8s.aws/ec2nodeclass"),
)
DEVICE_RULE: Final = rule(
    "self.filter(d, has(d.rootVolume) && d.rootVolume).size() <= 1",
    "must have only one blockDeviceMappings with rootVolume",
    "mark the one that holds the kubelet's data",
)
EBS_RULES: Final = (
    rule("has(self.snapshotID) || has(self.volumeSize)", "snapshotID or volumeSize must be defined", "give one"),
    rule(
        "!has(self.volumeInitializationRate) || (has(self.snapshotID) && self.snapshotID != '')",
        "snapshotID must be set when volumeInitializationRate is set",
        "only volumes made from a snapshot are initialised",
    ),
)
INTERFACE_RULES: Final = (
    rule(
        "self.size() == 0 || self.exists(i, i.networkCardIndex == 0 && i.deviceIndex == 0 && "
        "i.interfaceType == 'interface')",
        "networkInterfaces must include a primary interface with interfaceType='interface'",
        "card 0, device 0",
    ),
    rule(
        "self.all(i, self.exists_one(j, j.networkCardIndex == i.networkCardIndex && j.deviceIndex == i.deviceIndex)"
        " && (i.interfaceType != 'efa-only' || "
        "self.exists_one(j, j.interfaceType == 'efa-only' && j.networkCardIndex == i.networkCardIndex)))",
        "networkInterfaces must not have duplicate networkCardIndex and deviceIndex pairs, and can have at most one "
        "efa device per network card",
        "give each interface its own place",
    ),
)
CONNECTION_RULE: Final = rule(
    "has(self.tcpEstablishedTimeout) || has(self.udpStreamTimeout) || has(self.udpTimeout)",
    "at least one of tcpEstablishedTimeout, udpStreamTimeout, or udpTimeout must be set",
    "or leave out connectionTracking",
)
