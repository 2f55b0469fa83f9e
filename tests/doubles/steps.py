"""The steps of a start, up to one of them."""

from vosd.daemon.bootstrap import Daemon
from vosd.daemon.lifecycle import Step


def up_to(daemon: Daemon, last: str) -> tuple[Step, ...]:
    """Return the steps up to the one of this name."""
    steps = daemon.steps()
    return steps[: [step.name for step in steps].index(last) + 1]
