"""Extensions that an INVITE of a caller requires or supports, and what its trunk allows of them."""

from vosd.sip.dialog.session_timer import Wish, objection
from vosd.sip.wire.message import Request
from vosd.trunks.dialect import CallerDialect, Reliability


def reliability_of(request: Request, dialect: CallerDialect) -> Reliability:
    """Return how provisional responses go to a caller: what it says of itself, within what its trunk allows."""
    if dialect.reliability is Reliability.OFF:
        return Reliability.OFF
    if request.header("require") is None and request.header("supported") is None:
        return Reliability.OFF
    if "100rel" in _tags(request, "require"):
        return Reliability.REQUIRED
    return Reliability.SUPPORTED if "100rel" in _tags(request, "supported") else Reliability.OFF


def _tags(request: Request, name: str) -> list[str]:
    return [tag.lower() for tag in request.headers(name)] if request.header(name) is not None else []


def extension_objection(request: Request, dialect: CallerDialect) -> tuple[int, str] | None:
    """Return the status and header line that refuse an INVITE for what it must or must not ask for.

    Raises:
        ParseError: 400 for a session interval that cannot be read.
    """
    about_timer = interval_objection(request, dialect)
    if about_timer is not None:
        return about_timer
    if dialect.reliability is Reliability.OFF and "100rel" in _tags(request, "require"):
        return 420, "Unsupported: 100rel\r\n"
    if dialect.reliability is Reliability.REQUIRED and reliability_of(request, dialect) is Reliability.OFF:
        return 421, "Require: 100rel\r\n"
    return None


def interval_objection(request: Request, dialect: CallerDialect) -> tuple[int, str] | None:
    """Return the same for what an INVITE says of session timers alone.

    Raises:
        ParseError: 400.
    """
    return objection(Wish.of(request), dialect.session_timer)
