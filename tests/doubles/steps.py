"""The steps of a start, up to one of them."""

from vosd.daemon.bootstrap import Daemon
from vosd.daemon.lifecycle import StartStep
from vosd.storage.separate_books import SeparateBooks


def up_to(daemon: Daemon, last: str) -> tuple[StartStep, ...]:
    """Return the steps up to the one of this name."""
    steps = daemon.steps()
    return steps[: [step.name for step in steps].index(last) + 1]


async def begin_nothing(_books: SeparateBooks) -> None:
    """Take the place of ``SeparateBooks.start`` where nothing is booked: the first batch would start the bookkeeper."""
