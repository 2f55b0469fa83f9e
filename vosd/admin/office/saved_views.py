"""Use cases of views of pages of the console that people keep by name: a page, and the query of its address.

The query is data: it is bounded and has the characters of a query, and no program but the page that it is of reads it.
"""

import re
from enum import Enum
from typing import Final
from unicodedata import category

import msgspec

from vosd.admin.office.office import Office, needs
from vosd.admin.office.planned_change import StaleVersionError
from vosd.admin.office.principal import ALL, Means, OrderError, Permission, Principal, Scope
from vosd.base.errors import VosError
from vosd.cdr.kinds import NAME_LENGTH
from vosd.cdr.shown import shown_as
from vosd.storage.saved_views import StoredView

VIEWS_MAX: Final = 100
"""Views that one person or token keeps at most."""
QUERY_MAX: Final = 2_000
"""Characters of a query at most."""
_QUERY: Final = re.compile(r"[A-Za-z0-9\-._~!$&'()*+,;=:@/?%]*")
"""Characters of a query (RFC 3986, 3.4)."""
_JOINERS: Final = "\u200c\u200d"
"""Characters that change how their neighbours are drawn, in emoji and in scripts such as Persian."""


def _is_shown(name: str) -> bool:
    """Return whether a name has nothing but printable characters, blanks of any language and joined emoji."""
    return all(each.isprintable() or each in _JOINERS or category(each) == "Zs" for each in name)


class NoSuchViewError(VosError):
    """There is no such view, or it is another person's own."""


class NotYourViewError(VosError):
    """The view is shared by another person, who alone changes it, beside administrators."""


class ViewPage(Enum):
    """Page of the console whose views are kept."""

    CDRS = "cdrs"
    """Call search."""
    REPORTS = "reports"
    """Reports."""


class ViewOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of a view."""

    name: str
    """Name of the view, which each of its owner has once for a page."""
    query: str
    """Query of the address of the page, without the question mark: 2,000 characters at most."""
    shared: bool = False
    """Whether all operators see it."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.name) <= NAME_LENGTH or not _is_shown(self.name) or self.name != self.name.strip():
            raise OrderError("name", "is no name of a view", f"1 to {NAME_LENGTH} printable characters")
        if len(self.query) > QUERY_MAX:
            raise OrderError("query", f"has {len(self.query):,} characters", f"{QUERY_MAX:,} at most")
        if not _QUERY.fullmatch(self.query):
            raise OrderError("query", "has characters that no address has", "write them as % and two digits")


class AddView(ViewOrder, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A view that is kept by name."""

    page: ViewPage
    """Page of the console."""


class ChangeView(ViewOrder, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A view that has this content then; its page and its owner stay."""

    id: int
    """Number of the view."""
    if_version: int | None = None
    """Only where it has this version; None = whichever it has."""


class DropView(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A view that is kept no longer."""

    id: int
    """Number of the view."""
    if_version: int | None = None
    """Only where it has this version; None = whichever it has."""


class ListViews(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The views of the one who asks, and those that are shared with it."""


class ViewSheet(msgspec.Struct, frozen=True, kw_only=True):
    """A view of a page of the console."""

    id: int
    """Number of the view."""
    page: str
    """Page of the console: ``cdrs`` (call search) or ``reports``."""
    name: str
    query: str
    """Query of the address of the page, without the question mark."""
    shared: bool
    """Whether all operators see it."""
    owner: str
    """Person who keeps it, or token and its id."""
    own: bool
    """Whether it is of the one who asks."""
    may_change: bool
    """Whether the one who asks may change and delete it."""
    version: int
    """Number of changes of the view; 1 = it is as it was made."""
    changed_at: str
    """Time of the last change, RFC 3339."""
    changed_by: str
    """Person who has changed it last."""


@needs(Permission.CALLS_SEE, by_account=True)
async def list_views(office: Office, who: Principal, _order: ListViews) -> list[ViewSheet]:
    """Return the views by page and name."""
    is_operator = office.scope_of(who).agent is None
    found = await office.stores.people.views.of(_owner(who), with_shared=is_operator)
    return [_sheet(who, each) for each in found]


@needs(Permission.CALLS_SEE, by_account=True)
async def add_view(office: Office, who: Principal, order: AddView) -> ViewSheet:
    """Keep a view.

    Raises:
        OperatorsOnlyError: an agent or a customer shares it.
        ViewExistsError, TooManyViewsError: nothing was changed.
    """
    scope = office.scope_of(who)
    if order.shared:
        scope.require_operator()
    made = StoredView(
        owner=_owner(who),
        page=order.page.value,
        name=order.name,
        query=order.query,
        shared=order.shared,
        changed_at=office.now(),
        changed_by=who.name,
    )
    line = office.audit_line(who, order, _subject(made))
    return _sheet(who, await office.stores.people.views.add(made, VIEWS_MAX, line))


@needs(Permission.CALLS_SEE, by_account=True)
async def change_view(office: Office, who: Principal, order: ChangeView) -> ViewSheet:
    """Change a view of one's own, or as an administrator any.

    Raises:
        OperatorsOnlyError: an agent or a customer shares it.
        OrderError: it is to be shared, and is the view of an agent or a customer.
        NoSuchViewError, NotYourViewError, StaleVersionError, ViewExistsError: nothing was changed.
    """
    scope = office.scope_of(who)
    before = await _changeable(office, who, scope, order.id, order.if_version)
    if order.shared:
        scope.require_operator()
        await _require_owner_operator(office, before)
    after = msgspec.structs.replace(
        before,
        name=order.name,
        query=order.query,
        shared=order.shared,
        version=before.version + 1,
        changed_at=office.now(),
        changed_by=who.name,
    )
    if not await office.stores.people.views.change(before, after, office.audit_line(who, order, _subject(before))):
        raise _stale(before)
    return _sheet(who, after)


@needs(Permission.CALLS_SEE, by_account=True)
async def drop_view(office: Office, who: Principal, order: DropView) -> ViewSheet:
    """Delete a view and return it as it was; raises as ``change_view``."""
    before = await _changeable(office, who, office.scope_of(who), order.id, order.if_version)
    if not await office.stores.people.views.remove(before, office.audit_line(who, order, _subject(before))):
        raise _stale(before)
    return _sheet(who, before)


async def _changeable(office: Office, who: Principal, scope: Scope, number: int, version: int | None) -> StoredView:
    found = await office.stores.people.views.find(number)
    may_change = found is not None and _may_change(who, found)
    if found is None or not (may_change or (found.shared and scope.agent is None)):
        raise NoSuchViewError(f"there is no view {number}, or it is another person's own")
    if not may_change:
        raise NotYourViewError(f"view {found.name} is shared by {found.owner}: keep it by another name of your own")
    if version is not None and found.version != version:
        raise _stale(found)
    return found


async def _require_owner_operator(office: Office, view: StoredView) -> None:
    owner = await office.stores.people.find(view.owner)
    if owner is not None and owner.account is not None:
        raise OrderError("shared", f"is for views of operators, and {view.owner} acts for account {owner.account}")


def _stale(view: StoredView) -> StaleVersionError:
    return StaleVersionError(f"view {view.name} was changed meanwhile: read it again, and change what you find")


def _may_change(who: Principal, view: StoredView) -> bool:
    return view.owner == _owner(who) or (who.account is None and who.permissions >= ALL)


def _owner(who: Principal) -> str:
    """Return the owner of what a principal keeps; no person has the name of a token, or of a user of the machine."""
    return f"{who.means.value} {who.login}" if who.means is Means.TERMINAL else who.login


def _subject(view: StoredView) -> str:
    return f"view {view.name}"


def _sheet(who: Principal, view: StoredView) -> ViewSheet:
    return shown_as(ViewSheet, view, own=view.owner == _owner(who), may_change=_may_change(who, view))
