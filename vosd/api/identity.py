"""Sender of a request: the seam to users, tokens and sessions."""

from collections.abc import Awaitable, Callable

from vosd.admin.office.principal import Principal
from vosd.base.errors import VosError


class UnauthorizedError(VosError):
    """The request has no token, or one that is unknown, has ended, or is not for its address."""


Identify = Callable[[str, str], Awaitable[Principal]]
"""Returns the sender by its token and address; raises UnauthorizedError."""


async def no_principals(_token: str, _source: str) -> Principal:
    """Refuse every token: there are none yet."""
    raise UnauthorizedError("the token is unknown: this installation has no tokens yet")
