"""Text of an order: it can be written as UTF-8, so that the audit, the database and the running switch can keep it.

An argument of a command that is not UTF-8 comes with lone surrogates in place of its bytes (PEP 383).
"""

import msgspec

from vosd.admin.office.errors import OrderError


def require_text(order: object) -> None:
    """Check all text of an order; what is no struct has none.

    Raises:
        OrderError: a field has bytes that are not UTF-8.
    """
    if isinstance(order, msgspec.Struct) and not _is_text(order):
        names = (name for name in order.__struct_fields__ if not _is_text(getattr(order, name)))
        said = "has bytes that are not UTF-8"
        raise OrderError(next(names), said, "write it in a terminal whose locale is UTF-8")


def _is_text(value: object) -> bool:
    try:
        msgspec.json.encode(value)
    except UnicodeEncodeError:
        return False
    except TypeError:  # a value that no front sends, such as the first half of an import
        return True
    return True
