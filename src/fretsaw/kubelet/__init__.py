"""Kubelets without machines, against a real API server: for trying Fretsaw out, and for its tests.

    cloud = FakeCloud()
    async with serve(cloud) as url, Client.connect(load_access()) as client, FakeKubelet(client, cloud): ...

For each instance of the fake cloud that runs, a Node joins, becomes Ready, gets its devices late, and moves the pods
that are bound to it through their lives. What is written is what the simulator's kubelets write (`sim.kubelet`); here
it is written to an API server, and time is the wall clock's.
"""

from fretsaw.kubelet.kubelet import FakeKubelet
from fretsaw.kubelet.settings import KubeletSettings

__all__ = ["FakeKubelet", "KubeletSettings"]
