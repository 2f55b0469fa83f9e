"""Sender of a request: the seam to tokens and sessions."""

from collections.abc import Awaitable, Callable

from vosd.admin.office.office import Office
from vosd.admin.office.principal import Principal

Identify = Callable[[Office, str, str], Awaitable[Principal]]
"""Returns the sender by its token and address, as ``admin.office.tokens.principal_of``."""
