"""Settings of `fretsaw run`: one table of names, from which flags, environment variables and the printed list are made.

A flag beats the environment, which beats the default. Where the peer has a setting, ours has its name.
Source: Karpenter v1.14 pkg/operator/options. Differs: a value that cannot be read is an error, not simply ignored.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from fretsaw.api.times import Millis
from fretsaw.engine.options import Options
from fretsaw.engine.settings import Settings
from fretsaw.errors import UserError

_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}


class Setting(msgspec.Struct, frozen=True):
    """One setting."""

    flag: str
    """Without its dashes."""
    default: str
    read: Callable[[str], Any]
    """Raises ValueError that says what would be right."""
    help: str

    @property
    def env(self) -> str:
        """The environment variable."""
        return self.flag.upper().replace("-", "_")

    @property
    def field(self) -> str:
        """The name in the code."""
        return self.flag.replace("-", "_")


def span(text: str) -> Millis:
    """Milliseconds of `10s`, `1m30s`, `500ms`."""
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError("a duration, such as 10s, 500ms or 1m30s")
    return round(sum(float(number) * _UNITS[unit] for number, unit in parts))


def truth(text: str) -> bool:
    """`true` or `false`."""
    if text.lower() not in ("true", "false"):
        raise ValueError("true or false")
    return text.lower() == "true"


def whole(least: int, most: int = 2**31) -> Callable[[str], int]:
    """A whole number within bounds."""

    def read(text: str) -> int:
        if not re.fullmatch(r"-?\d+", text) or not least <= int(text) <= most:
            raise ValueError(f"a whole number from {least}" + (f" to {most}" if most < 2**31 else ""))
        return int(text)

    return read


def share(text: str) -> float:
    """A number that is not negative, such as 0.075."""
    if not re.fullmatch(r"\d+(\.\d+)?", text):
        raise ValueError("a number of at least 0, such as 0.075")
    return float(text)


def url(text: str) -> str:
    """An absolute URL, or nothing."""
    if text and not re.fullmatch(r"https?://[^/\s]\S*", text):
        raise ValueError("a URL with a host, such as https://ABC.gr7.eu-west-1.eks.amazonaws.com")
    return text


def one_of(*words: str) -> Callable[[str], str]:
    """One of these words."""

    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"one of {', '.join(words)}")
        return text

    return read


def gates(text: str) -> dict[str, bool]:
    """`NodeRepair=true,SpotToSpotConsolidation=false`; those that are not named keep their defaults."""
    found = dict(GATES)
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, equals, value = part.partition("=")
        if not equals or value.lower() not in ("true", "false"):
            raise ValueError("Name=true or Name=false, separated by commas")
        if name not in GATES:
            raise ValueError(f"known gates: {', '.join(GATES)}")
        found[name] = value.lower() == "true"
    return found


GATES: dict[str, bool] = {
    "NodeRepair": False,
    "ReservedCapacity": True,
    "SpotToSpotConsolidation": False,
    "NodeOverlay": True,
    "StaticCapacity": True,
    "CapacityBuffer": True,
    "NominatedNodeName": True,
}
"""Feature gates. Differs: overlays, static pools and buffers are on, since whoever writes such an object wants it to
work; NominatedNodeName is ours: it hands the plan to kube-scheduler where the server is new enough for that."""

TABLE: tuple[Setting, ...] = (
    Setting("metrics-port", "8080", whole(0, 65535), "Port of /metrics."),
    Setting("health-probe-port", "8081", whole(0, 65535), "Port of /healthz and /readyz."),
    Setting("kube-client-qps", "200", whole(1), "Requests a second to the Kubernetes API in the long run."),
    Setting("kube-client-burst", "300", whole(1), "Requests that may be made at once after a rest."),
    Setting("disable-leader-election", "false", truth, "Act without a lease: for a single replica."),
    Setting("leader-election-name", "karpenter-leader-election", str, "The lease: the peer's, lest both act."),
    Setting("leader-election-namespace", "", str, "The lease's namespace; empty: the one that we run in."),
    Setting("log-level", "info", one_of("debug", "info", "error"), "What is logged."),
    Setting("log-format", "json", one_of("json", "text"), "How it is logged."),
    Setting("batch-max-duration", "10s", span, "A pass starts so long after the first pod at the latest."),
    Setting("batch-idle-duration", "1s", span, "A pass starts when no pod has come for so long."),
    Setting("preference-policy", "Respect", one_of("Respect", "Ignore"), "Whether preferences count until they fail."),
    Setting("min-values-policy", "Strict", one_of("Strict", "BestEffort"), "Whether minValues may be lowered."),
    Setting("feature-gates", "", gates, "Name=true or Name=false, separated by commas."),
    Setting("packing", "cost", one_of("cost", "first-fit"), "Search for the cheapest nodes, or pack as the peer does."),
    Setting("max-pods-per-node", "250", whole(0), "How many pods one lost node may take down; 0: no cap."),
    Setting("disruption-poll", "10s", span, "Time between two looks for what could be taken away."),
    Setting("validation-delay", "15s", span, "How long a consolidation has to hold before it is carried out."),
    Setting("cluster-name", "", str, "The cluster's name, for tags and user data."),
    Setting("cluster-endpoint", "", url, "Where nodes find the API server; empty: where EKS says."),
    Setting("cluster-ca-bundle", "", str, "Its certificate authorities in base64, for nodes; empty: those of EKS."),
    Setting("interruption-queue", "", str, "Name of the SQS queue with what happens to instances; empty: none."),
    Setting("isolated-vpc", "false", truth, "IAM and the price list cannot be reached from here."),
    Setting("vm-memory-overhead-percent", "0.075", share, "Part of memory that the hypervisor keeps, as 0.075."),
    Setting("reserved-enis", "0", whole(0), "Network interfaces that are not for pods."),
    Setting("disable-dry-run", "false", truth, "Do not try whether a node class could launch before it is ready."),
)  # fmt: skip


class Run(msgspec.Struct, frozen=True):
    """All settings of a process, as they were found."""

    values: dict[str, Any]
    texts: dict[str, str]
    """As they were written."""
    origin: dict[str, str]
    """Where each comes from: `flag`, `environment` or `default`."""

    def __getitem__(self, flag: str) -> Any:
        return self.values[flag]

    @property
    def options(self) -> Options:
        """The engine's part."""
        on = self.values["feature-gates"]
        placing = Settings(
            packing=self["packing"],
            respect_preferences=self["preference-policy"] == "Respect",
            best_effort_min_values=self["min-values-policy"] == "BestEffort",
            reserved_capacity=on["ReservedCapacity"],
            max_pods_per_node=self["max-pods-per-node"],
        )
        return Options(
            placing=placing,
            batch_idle=self["batch-idle-duration"],
            batch_max=self["batch-max-duration"],
            disruption_poll=self["disruption-poll"],
            validation=self["validation-delay"],
            spot_to_spot=on["SpotToSpotConsolidation"],
            node_repair=on["NodeRepair"],
            static_capacity=on["StaticCapacity"],
            hand_over=on["NominatedNodeName"],
        )

    def lines(self) -> list[str]:
        """One line for each setting: its flag, value, and where that comes from."""
        width = max(len(setting.flag) for setting in TABLE)
        shown = {setting.flag: self.texts[setting.flag] or '""' for setting in TABLE}
        across = max(map(len, shown.values()))
        return [f"--{flag:<{width}}  {text:<{across}}  {self.origin[flag]}" for flag, text in shown.items()]


def found(flags: Mapping[str, str | None], environment: Mapping[str, str]) -> Run:
    """The settings. flags: by name, None for those not given. Raises UserError that names the flag or variable."""
    values, texts, origin = {}, {}, {}
    for setting in TABLE:
        text, where, source = setting.default, "", "default"
        if (given := flags.get(setting.flag)) is not None:
            text, where, source = given, f"--{setting.flag}", "flag"
        elif setting.env in environment:
            text, where, source = environment[setting.env], setting.env, "environment"
        try:
            values[setting.flag] = setting.read(text)
        except ValueError as error:
            raise UserError(where, "cannot be read", repr(text), str(error)) from error
        texts[setting.flag], origin[setting.flag] = text, source
    return Run(values, texts, origin)
