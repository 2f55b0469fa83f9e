"""The names of log lines that programs wait for: once a name is here it stays as it is.

Each says that a state has changed, never that something happened once more.
"""

from enum import StrEnum


class Event(StrEnum):
    """What alarms and monitoring hold on to."""

    PHONE_ONLINE = "phone_online"
    PHONE_OFFLINE = "phone_offline"
    GATEWAY_REGISTERED = "gateway_registered"
    """A mapping gateway has registered with us."""
    GATEWAY_UNREGISTERED = "gateway_unregistered"
    GATEWAY_UP = "gateway_up"
    """A routing gateway answers again."""
    GATEWAY_DOWN = "gateway_down"
    REGISTRATION_GAINED = "registration_gained"
    """A vendor has taken our registration."""
    REGISTRATION_LOST = "registration_lost"
    REGISTRATION_REFUSED = "registration_refused"
    """A vendor does not believe our credentials."""
    AUTH_LOCKOUT = "auth_lockout"
    """A source has guessed too often (REG-07)."""
    AUTH_UNBLOCKED = "auth_unblocked"
    NAT_SWEEP_OVERRUN = "nat_sweep_overrun"
    """Keep-alives take longer than their period (NAT-10)."""
    OVERLOAD_BEGINS = "overload_begins"
    OVERLOAD_ENDS = "overload_ends"
    SOURCE_BLOCKED = "source_blocked"
    """A source floods us and is not heard for a while."""
    SESSION_REFRESH_FAILED = "session_refresh_failed"
    """A peer does not take our refreshes of a session (TMR-12)."""
