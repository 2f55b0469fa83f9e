"""Time zones that orders name."""

from zoneinfo import ZoneInfo

from vosd.admin.office.errors import OrderError


def zone_named(name: str) -> ZoneInfo:
    """Return a time zone by its name; raises OrderError: there is none."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise OrderError("zone", f"{name!r} is no time zone", "such as Europe/Berlin") from None
