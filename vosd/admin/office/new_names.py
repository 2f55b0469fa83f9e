"""Names that new objects, roles, people and tokens may have."""

from typing import Final

from vosd.admin.office.principal import OrderError
from vosd.cdr.kinds import NAME_LENGTH

_DOTS: Final = frozenset({".", ".."})


def check_new_name(name: str) -> None:
    """Check the name of a new role, person or token; raises OrderError."""
    if name != name.strip():
        raise OrderError("name", "has a space at its beginning or end", "leave it out")
    if not name.isprintable() or not 1 <= len(name) <= NAME_LENGTH:
        raise OrderError("name", f"has 1 to {NAME_LENGTH} printable characters")
    check_no_dots(name)


def check_no_dots(name: str) -> None:
    """Raise OrderError for a name that clients take out of paths, also where it is escaped (RFC 3986, 5.2.4)."""
    if name in _DOTS:
        raise OrderError("name", "may not be . or .., which browsers take out of addresses", "choose another one")
