"""States of a registration of ours, and the changes of them that are reported."""

from enum import Enum
from typing import Final


class RegistrationState(Enum):
    """State of a registration; the value is printed by ``vosd registrations``."""

    UNREGISTERED = "unregistered"
    """Waits for its next attempt."""
    TRYING = "trying"
    REGISTERED = "registered"
    REFRESHING = "refreshing"
    """A refresh is open, and the previous registration is still valid."""
    REFUSED = "refused"
    """Refused by the vendor; waits for its next attempt."""
    PARTING = "parting"
    """Will be removed as soon as the open REGISTER is answered."""
    LEAVING = "leaving"
    GONE = "gone"


HOLDING: Final = frozenset({RegistrationState.REGISTERED, RegistrationState.REFRESHING})
"""States in which the vendor has our binding."""
PARTED: Final = frozenset({RegistrationState.PARTING, RegistrationState.LEAVING, RegistrationState.GONE})
"""States of a registration that is being given up."""


class RegistrationChange(Enum):
    """Changes that are reported."""

    GAINED = "gained"
    LOST = "lost"
    REFUSED = "refused"
