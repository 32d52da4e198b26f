"""The peer's own benchmark, rebuilt: 400 made-up instance types and five kinds of pods in equal shares.

Karpenter's benchmark draws with Go's generator, so the single draws differ; the distributions are the same.
"""

from __future__ import annotations

from random import Random

from bench.objects import ARCH, HOSTNAME, OS, ZONE, Json, node_pool, pod

DRAW = 42
CPU = (100, 250, 500, 1000, 1500)  # millicores
MEMORY = (100, 256, 512, 1024, 2048, 4096)  # MiB
LETTERS = "abcdefg"
OFFERED = (
    ("test-zone-1", "spot"),
    ("test-zone-2", "spot"),
    ("test-zone-1", "on-demand"),
    ("test-zone-2", "on-demand"),
    ("test-zone-3", "on-demand"),
)


def catalog(types: int = 400) -> Json:
    """Type i: i+1 vCPU, 2(i+1) GiB, 10(i+1) pods; 0.1 $/h for a vCPU and for 10⁹ bytes, in all five offerings."""
    return {"region": "test", "asOf": "", "instanceTypes": [_instance_type(i) for i in range(types)]}


def _instance_type(i: int) -> Json:
    cpu, gib = i + 1, 2 * (i + 1)
    price = 0.1 * cpu + 0.1 * gib * 2**30 / 1e9
    large = cpu > 4 and gib > 8
    labels = {ARCH: ["amd64"], OS: ["linux", "windows", "darwin"], "integer": [str(cpu)]}
    labels["size"] = ["large" if large else "small"]
    if large:
        labels["special"] = ["optional"]
    return {
        "name": f"fake-it-{i}",
        "capacity": {"cpu": str(cpu), "memory": f"{gib}Gi", "pods": str(10 * cpu)},
        "overhead": {"cpu": "100m", "memory": "10Mi"},
        "labels": labels,
        "offerings": [{"zone": z, "capacityType": c, "price": price, "available": True} for z, c in OFFERED],
    }


def diverse(count: int) -> Json:
    """A fifth each: plain, spread over zones, spread over hosts, together in a zone, apart on hosts; the rest plain."""
    random, fifth = Random(DRAW), count // 5
    pods = [_plain(random, f"plain-{i}") for i in range(fifth)]
    pods += [_spread(random, f"zone-spread-{i}", ZONE) for i in range(fifth)]
    pods += [_spread(random, f"host-spread-{i}", HOSTNAME) for i in range(fifth)]
    pods += [_together(random, f"together-{i}") for i in range(fifth)]
    pods += [_apart(random, f"apart-{i}") for i in range(fifth)]
    pods += [_plain(random, f"rest-{i}") for i in range(count - 5 * fifth)]
    return {"catalog": catalog(), "objects": [_pool(), *pods]}


def preferences(count: int) -> Json:
    """Equal pods that prefer one zone, and other zones and hosts than each other's: most wishes cannot be met."""
    requests = _requests(Random(DRAW))
    prefer_zone = {"matchExpressions": [{"key": ZONE, "operator": "In", "values": ["test-zone-1"]}]}
    affinity = {
        "nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": prefer_zone}]},
        "podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 10, "podAffinityTerm": _term({"app": "nginx"}, ZONE)},
                {"weight": 1, "podAffinityTerm": _term({"app": "nginx"}, HOSTNAME)},
            ]
        },
    }
    pods = [pod(f"wishful-{i}", requests, {"app": "nginx"}, affinity=affinity) for i in range(count)]
    return {"catalog": catalog(), "objects": [_pool(), *pods]}


def _pool() -> Json:
    return node_pool("default", limits={"cpu": "10000000", "memory": "10000000Gi"})


def _requests(random: Random) -> dict[str, str]:
    return {"cpu": f"{random.choice(CPU)}m", "memory": f"{random.choice(MEMORY)}Mi"}


def _letter(random: Random) -> dict[str, str]:
    return {"my-label": random.choice(LETTERS)}


def _term(labels: dict[str, str], key: str) -> Json:
    return {"labelSelector": {"matchLabels": labels}, "topologyKey": key}


def _plain(random: Random, name: str) -> Json:
    return pod(name, _requests(random), _letter(random))


def _spread(random: Random, name: str, key: str) -> Json:
    constraint = {"maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule", **_term(_letter(random), key)}
    return pod(name, _requests(random), _letter(random), topologySpreadConstraints=[constraint])


def _together(random: Random, name: str) -> Json:
    labels = {"my-affinity": random.choice(LETTERS)}
    affinity = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [_term(labels, ZONE)]}}
    return pod(name, _requests(random), labels, affinity=affinity)


def _apart(random: Random, name: str) -> Json:
    labels = {"app": "nginx"}
    affinity = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [_term(labels, HOSTNAME)]}}
    return pod(name, _requests(random), labels, affinity=affinity)
