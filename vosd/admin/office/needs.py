"""The permission that a use case needs, checked before it does anything.

It stands in a decorator and not in the body, so that a program can read it: a test finds the use case that needs none,
and a front can say what a token may do.
"""

from collections.abc import Callable, Collection
from functools import wraps
from typing import Concatenate, Final, ParamSpec, TypeVar

import msgspec

from vosd.admin.office.errors import OrderError
from vosd.admin.office.office import Office
from vosd.admin.office.permissions import Permission
from vosd.admin.office.principal import Principal
from vosd.base.errors import VosError

_More = ParamSpec("_More")
_Result = TypeVar("_Result")
UseCase = Callable[Concatenate[Office, Principal, _More], _Result]
NEEDED: Final = "__permission__"
"""Attribute of a use case: its permission."""
BY_ACCOUNT: Final = "__by_account__"
"""Attribute of a use case: whether agents and customers may give the order about accounts of theirs."""
INSTEAD: Final = "__permissions_instead__"
"""Attribute of a use case: permissions any of which does for some of its objects, which the use case checks itself."""

WITHOUT_DATABASE: Final = "__without_database__"
"""Attribute of a use case: whether it works while the database is away, as far as it has then what to say."""


def require_text(order: object) -> None:
    """Check that audit, database and switch can keep all text of an order; what is no struct has none.

    An argument of a command that is not UTF-8 comes with lone surrogates in place of its bytes (PEP 383).

    Raises:
        OrderError: a field has such bytes.
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


class PermissionLackingError(VosError):
    """The principal has not the permission that the order needs."""


def require(who: Principal, permission: Permission) -> None:
    """Check that a principal has a permission; raises PermissionLackingError where it has not."""
    if permission not in who.permissions:
        raise PermissionLackingError(f"{who.name} may not do this: it needs the permission {permission.value}")


def needs(
    permission: Permission,
    *,
    by_account: bool = False,
    instead: Collection[Permission] = (),
    without_database: bool = False,
) -> Callable[[UseCase[_More, _Result]], UseCase[_More, _Result]]:
    """Declare the permission of a use case; check it, and that the text of the order is UTF-8, when it is called.

    ``by_account``: it is for agents and customers, too, and checks itself of which accounts; else it is about the
    installation as a whole, and refuses them with OperatorsOnlyError.
    ``without_database``: fronts do not open the database before it; it may be away.
    ``instead``: who has any of these is let in, too, and the use case checks itself for which objects that is enough.
    """

    def declared(use_case: UseCase[_More, _Result]) -> UseCase[_More, _Result]:
        @wraps(use_case)
        def checked(office: Office, who: Principal, /, *args: _More.args, **kwargs: _More.kwargs) -> _Result:
            if not by_account:
                office.scope_of(who).require_operator()
            if who.permissions.isdisjoint(instead):
                require(who, permission)
            for each in args:
                require_text(each)
            return use_case(office, who, *args, **kwargs)

        setattr(checked, NEEDED, permission)
        setattr(checked, BY_ACCOUNT, by_account)
        setattr(checked, INSTEAD, frozenset(instead))
        setattr(checked, WITHOUT_DATABASE, without_database)
        return checked

    return declared
