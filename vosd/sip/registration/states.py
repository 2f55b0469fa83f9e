"""Registrations of ours at vendors: their terms, their states, and the changes of these that are reported."""

from enum import Enum
from typing import Final, NamedTuple

from vosd.base.credentials import Login
from vosd.sip.digest.answer import ROUNDS_MAX


class Terms(NamedTuple):
    """Address of record, Contact and credentials of a registration."""

    domain: str
    """Domain of the address of record and of the Request-URI."""
    user: str
    """User of the address of record."""
    contact_user: str
    """User of our Contact: it identifies the vendor's calls."""
    login: Login
    expires_s: int = 3_600
    """Duration that is requested."""
    interface: str | None = None
    """Listener to send from, by its name; None = the first suitable one."""
    rounds_max: int = ROUNDS_MAX
    contact_host: str = ""
    """Host of our Contact, with a port or without; empty = the address of the listener."""
    user_agent: str = ""
    """Our product in User-Agent; empty = that of the installation."""


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
