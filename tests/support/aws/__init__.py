"""AWS for tests: the moto server, with what it lacks and with faults that tests script.

    moto = Moto.start()
    moto.sell_out("g5.xlarge", "*", "spot")
    async with moto.session() as aws: ...
    moto.reset()

moto lives in threads of the test's process; a program under test gets `moto.environment`.
"""

from __future__ import annotations

from support.aws.gate import Asked, Fault
from support.aws.seed import Seeded
from support.aws.server import Moto
from support.aws.world import World

__all__ = ["Asked", "Fault", "Moto", "Seeded", "World"]
