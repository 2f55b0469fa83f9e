"""Order about a change of objects of the database before it is stored."""

from typing import ClassVar

import msgspec

from vosd.control.order import Order


class CheckChange(Order[msgspec.Raw], frozen=True, tag="check_change"):
    """Check the configuration with a change, in a process beside the switch, which has read it for the check before.

    The switch passes on both sides of it: ``catalogue.asked_changes`` has their form.
    """

    ends_with_client: ClassVar[bool] = True
    configuration: str
    """Absolute path of the main file; refused where the switch has another one."""
    question: msgspec.Raw
