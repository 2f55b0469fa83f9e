"""Order about a change of objects of the database before it is stored."""

from typing import ClassVar, Final

import msgspec

from vosd.control.order import Order

CHECK_S: Final = 300.0
"""Longest time of a check; a front with less gives it up before."""


class CheckChange(Order[msgspec.Raw], frozen=True, tag="check_change"):
    """Check the configuration with a change, in a process beside the switch, which has read it for the check before.

    The switch passes on question and answer and reads neither, hence both are raw: ``catalogue.asked_changes`` has
    their types, by which the process that asks and the one that checks read them.
    """

    ends_with_client: ClassVar[bool] = True
    configuration: str
    """Absolute path of the main file; refused where the switch has another one."""
    question: msgspec.Raw
