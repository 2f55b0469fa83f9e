"""Terms of a registration of ours at a vendor."""

from typing import NamedTuple

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
