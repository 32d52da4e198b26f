"""AWS in a process of its own, until Ctrl-C: prints the environment that leads to it.

PYTHONPATH=tests python -m support.aws > aws.env
"""

from __future__ import annotations

import shlex
import signal

from support.aws.server import Moto


def main() -> None:
    """Serve."""
    moto = Moto.start()
    for name, value in moto.environment.items():
        print(f"export {name}={shlex.quote(value)}", flush=True)
    signal.sigwait({signal.SIGINT, signal.SIGTERM})
    moto.stop()


if __name__ == "__main__":
    # Blocked before threads start, so that none of them takes the signal away from `sigwait`.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    main()
