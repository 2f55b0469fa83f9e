"""A switch whose journal begins a new file after a few calls, so that an outage of seconds fills many of them."""

from vosd.engine.journal import Journal, sealing


def small_files_of_the_journal() -> None:
    """Prepare the process of a switch that is about to start."""
    assert Journal.__init__.__kwdefaults__
    Journal.__init__.__kwdefaults__["segment_bytes"] = 20_000
    sealing.LATER_S = 0.05  # type: ignore[misc]
