"""``nightly``: what the switch does with its books every night."""

from datetime import tzinfo
from typing import Annotated

from vosd.config.reader.fields import switch
from vosd.config.reader.model import Keys
from vosd.config.reader.times import start_of_hours, time_zone


class NightlyKeys(Keys):
    """Work of the switch on its books once a day, in a process beside the calls. A reload changes it."""

    at: Annotated[int | None, start_of_hours()] = None
    """Time of day, such as 04:30, with few calls. Default: never."""
    timezone: Annotated[tzinfo | None, time_zone()] = None
    """The zone of ``at``, and of the months of ``minimum``. Default: the machine's, and UTC for months."""
    verify: Annotated[bool, switch()] = True
    """As `vosd ledger verify`: differences are the alarm `ledger_differs`."""
    minimum: Annotated[bool, switch()] = True
    """As `vosd ledger minimum` for the month before, on the first seven days of each month."""
