"""Extensions that a caller's INVITE requires or supports, within what its trunk allows."""

from typing import Final

from vosd.sip.dialog.session_wish import NO_WISH, Wish, objection
from vosd.sip.wire.message import Request
from vosd.trunks.dialect import CallerDialect, Reliability

_OFF: Final = Reliability.OFF  # access to enum members is slow
_REQUIRED: Final = Reliability.REQUIRED


def reliability_of(request: Request, dialect: CallerDialect) -> Reliability:
    """Return how provisional responses are sent to a caller: as it supports, within what its trunk allows."""
    if dialect.reliability is _OFF:
        return _OFF
    if request.header("require") is None and request.header("supported") is None:
        return _OFF
    if "100rel" in _tags(request, "require"):
        return Reliability.REQUIRED
    return Reliability.SUPPORTED if "100rel" in _tags(request, "supported") else _OFF


def _tags(request: Request, name: str) -> list[str]:
    return [tag.lower() for tag in request.headers(name)] if request.header(name) is not None else []


def extension_objection(request: Request, wish: Wish, dialect: CallerDialect) -> tuple[int, str] | None:
    """Return the status and header line that refuse an INVITE for its extensions, or None.

    ``wish`` is what it says about session timers.
    """
    if wish is not NO_WISH and (about_timer := objection(wish, dialect.session_timer)) is not None:
        return about_timer
    if dialect.reliability is _OFF and "100rel" in _tags(request, "require"):
        return 420, "Unsupported: 100rel\r\n"
    if dialect.reliability is _REQUIRED and reliability_of(request, dialect) is _OFF:
        return 421, "Require: 100rel\r\n"
    return None
