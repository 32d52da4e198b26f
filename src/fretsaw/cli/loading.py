"""What a command plans with: files, a live cluster, or a cluster with files applied to it.

Loading says nothing, since a spinner may turn meanwhile; `tell` says on standard error what there is to be said of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from fretsaw.cli import errors
from fretsaw.cli.live_options import read_cluster, tell_left_out
from fretsaw.cli.progress import Progress

if TYPE_CHECKING:
    from fretsaw.api.manifest import Manifests
    from fretsaw.live.reading import Reading


@dataclass(frozen=True)
class Loaded:
    """The objects, and the reading that they are from; None where they are from files alone."""

    manifests: Manifests
    reading: Reading | None = None

    def tell(self) -> None:
        """What could not be read, and every problem of what was."""
        if self.reading is not None:
            tell_left_out(self.reading)
        tell_problems(self.manifests)


def loaded(
    sources: Sequence[str], progress: Progress, *, live: bool, kubeconfig: str | None, context: str | None
) -> Loaded:
    """Read it. Raises UserError and KubeError as `live.connection` and `live.reading` do."""
    from fretsaw.api import manifest
    from fretsaw.live import objects

    progress("reading manifests")
    files = objects.as_it_is(manifest.load(sources))
    if not live:
        return Loaded(files)
    reading = read_cluster(kubeconfig, context, progress, needed=("Pod",))
    return Loaded(objects.over(objects.as_it_is(objects.manifests_of(reading)), files), reading)


def tell_problems(manifests: Manifests) -> None:
    """Every problem with file, line, object and field on standard error; kinds that are not read on one line."""
    from fretsaw.api.manifest import ignored

    for document in manifests.documents:
        if document.kind and document.known is None and not document.has_errors:
            continue  # counted below
        for located in document.located():
            # An object of a cluster stands in no file and in no line.
            errors.say(located.severity, str(located).removeprefix("<cluster>:1 "))
    kinds: Counter[str] = Counter()
    for kind, number in ignored(manifests).items():
        kinds[kind.partition(" ")[0]] += number
    if kinds:
        errors.say("warning", f"ignored: {', '.join(f'{number} {kind}' for kind, number in sorted(kinds.items()))}")


@dataclass(frozen=True)
class Region:
    """Whose catalog is used, and what is to be said about it."""

    name: str
    kind: str = ""
    message: str = ""

    def tell(self) -> None:
        """Say it, if there is anything."""
        if self.message:
            errors.say(self.kind, self.message)


def found_region(manifests: Manifests, said: str) -> Region:
    """That of --region if it was given, else where the cluster is, if there are prices of it."""
    source = click.get_current_context().get_parameter_source("region")
    if source is not None and source.name != "DEFAULT":
        return Region(said)
    from fretsaw.live.objects import region_of
    from fretsaw.providers.aws import snapshot

    found = region_of(manifests)
    if found is None or found == said:
        return Region(said)
    if found not in snapshot.regions():
        return Region(said, "warning", f"no prices of {found}, where the nodes are: those of {said} are used")
    return Region(found, "note", f"with the prices of {found}, where the nodes are")
