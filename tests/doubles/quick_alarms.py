"""A daemon that looks for alarms twenty times a second and repeats soon what an output did not take.

What is looked for and what is sent is not changed: for tests that need the daemon itself, and not the intervals.
"""

from doubles.moved_clock import follow
from doubles.spare import fork_for
from vosd.daemon import daily, retention
from vosd.engine.alarms import mail, watch, webhook


def soon() -> None:
    """Change the intervals in this process, which is to become a daemon."""
    watch.TICK_S = 0.05  # type: ignore[misc]
    webhook.BACK_OFF_S = 0.05  # type: ignore[misc]


def margins_soon() -> None:
    """Do so, and look at margins with every check."""
    soon()
    watch.MARGIN_CHECKS = 1  # type: ignore[misc]


def nights_on_moved_clock() -> None:
    """Do so by the clock that a test moves; fork what drops old calls, which takes a while to execute."""
    fork_for({retention.PROCESS: daily.__name__})
    follow()
    soon()


def mails_at_once() -> None:
    """Do so, and let a mail wait for no second alarm."""
    soon()
    mail.GATHER_S = 0.05  # type: ignore[misc]
