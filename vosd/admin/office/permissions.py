"""Permissions to give kinds of orders, and the roles that ship as sets of them.

About which accounts an agent or a customer may give them is said by its ``Scope``, not here.
"""

from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import msgspec

from vosd.admin.office.errors import OrderError


class Permission(StrEnum):
    """One kind of orders: a subject and what is done with it."""

    ACCOUNTS_SEE = "accounts.see"
    """Accounts with their balances, groups and limits."""
    ACCOUNTS_CHANGE = "accounts.change"
    """Overdraft limits and the time until which accounts may be used."""
    MONEY_SEE = "money.see"
    """Entries of the ledger, statements, payments that wait."""
    MONEY_BOOK = "money.book"
    """Payments and transfers; also to confirm and refuse those of others."""
    BOOKS_SEE = "books.see"
    """The books as a whole: balances of all accounts, profit, costs, charges of all parties, verification."""
    BOOKS_CHANGE = "books.change"
    """Closed periods, minimums, closed accounts, corrections and repeated rating of calls."""
    BILATERAL_SEE = "bilateral.see"
    """Totals of one's calls by five minutes: for the switch of a partner."""
    RATES_SEE = "rates.see"
    """Rate groups, prices and their explanation."""
    RATES_CHANGE = "rates.change"
    """Decks of rates: import and roll back."""
    ROUTES_SEE = "routes.see"
    """Gateways, registrations, overrides; explanations of routes, with prices where ``rates.see`` is there, too, and
    with margins where ``books.see`` is."""
    ROUTES_CHANGE = "routes.change"
    """Overrides of gateways and phones: limits, priority, and the end of any override."""
    CALLS_SEE = "calls.see"
    """Running calls and CDRs, with what each call costs on both sides; simulations of routes, where ``routes.see`` is
    there, too, with money where ``books.see`` is."""
    CALLS_EXPORT = "calls.export"
    """All CDRs as files."""
    CALLS_EXPLAIN = "calls.explain"
    """Reasons why calls ended as they did."""
    CALLS_TRACE = "calls.trace"
    """Messages of calls, with full numbers."""
    CALLS_HANG_UP = "calls.hang_up"
    CALLS_TEST = "calls.test"
    """Test calls, which vendors charge for."""
    BLOCK = "block"
    """Gateways, phones and accounts: block and unblock; sources and callers: unblock."""
    STATE_SEE = "state.see"
    """Status, alarms, blocked sources and callers, parameters."""
    EVENTS_SEE = "events.see"
    """The stream of live events: of each subject those alone whose own permission (``calls.see``) is there, too."""
    AUDIT_SEE = "audit.see"
    """The record of changes."""
    DEFINITIONS_SEE = "definitions.see"
    """Objects of the configuration in the database, with passwords masked, and their versions; of agents those of
    accounts in their tree."""
    DEFINITIONS_CHANGE = "definitions.change"
    PHONES_PASSWORD = "phones.password"  # noqa: S105 - a permission, no secret
    """Passwords of phones, to change: of customers those of their own."""
    JOBS = "jobs"
    """Long work that one has ordered: the list of it, and its end; the state and the result of each job of one's own
    need no more than the permission of its order. Every token of a role that has it has it, too."""
    INSTALLATION_RUN = "installation.run"
    """Reload, restart, backups, retention, calls that the database refused."""
    PEOPLE_SEE = "people.see"
    """People, roles and tokens, without secrets."""
    PEOPLE_CHANGE = "people.change"
    """People, roles and tokens; a permission is given by those alone who have it."""


ALL: Final = frozenset(Permission)
READ: Final = "read"
"""Scope of a token: all permissions that change nothing."""


class ActsFor(StrEnum):
    """Accounts that a role is about."""

    INSTALLATION = "installation"
    """All accounts."""
    AGENT = "agent"
    """One agent and the accounts below it, as its eight rights allow."""
    CUSTOMER = "customer"
    """One account."""


class RoleSheet(msgspec.Struct, frozen=True, kw_only=True):
    """A role: a set of permissions under a name."""

    name: str
    permissions: frozenset[Permission]
    acts_for: ActsFor = ActsFor.INSTALLATION
    wants_totp: bool = False
    """Whether people of it log in with a second factor."""
    ships: bool = False
    """Whether it comes with the program; its permissions cannot be changed then."""

    @property
    def own_name(self) -> str | None:
        """The name of a role of the installation's own, which may be dropped; None = the role ships."""
        return None if self.ships else self.name


_SEEN: Final = frozenset(each for each in Permission if each.endswith(".see"))
_NO_PEOPLE: Final = _SEEN - {Permission.PEOPLE_SEE, Permission.AUDIT_SEE} | {Permission.JOBS}
_OF_CUSTOMERS: Final = frozenset(
    {Permission.ACCOUNTS_SEE, Permission.MONEY_SEE, Permission.RATES_SEE, Permission.CALLS_SEE}
    | {
        Permission.BILATERAL_SEE,
        Permission.EVENTS_SEE,
        Permission.ROUTES_SEE,
        Permission.DEFINITIONS_SEE,
        Permission.PHONES_PASSWORD,
    }
)
_OF_AGENTS: Final = (
    _OF_CUSTOMERS
    | {Permission.ACCOUNTS_CHANGE, Permission.MONEY_BOOK, Permission.BLOCK, Permission.ROUTES_CHANGE}
    | {Permission.DEFINITIONS_CHANGE}
)
OPEN_TO: Final[Mapping[ActsFor, frozenset[Permission]]] = MappingProxyType(
    {ActsFor.INSTALLATION: ALL, ActsFor.AGENT: _OF_AGENTS, ActsFor.CUSTOMER: _OF_CUSTOMERS}
)
"""Permissions that a role may have, by whose accounts it is about."""


def _shipped(name: str, permissions: Iterable[Permission], acts_for: ActsFor = ActsFor.INSTALLATION) -> RoleSheet:
    return RoleSheet(name=name, permissions=frozenset(permissions), acts_for=acts_for, ships=True)


SHIPPED: Final[Mapping[str, RoleSheet]] = MappingProxyType(
    {
        each.name: each
        for each in (
            _shipped("viewer", _NO_PEOPLE - {Permission.BOOKS_SEE}),
            _shipped(
                "night",
                _NO_PEOPLE - {Permission.BOOKS_SEE, Permission.MONEY_SEE, Permission.BILATERAL_SEE}
                | {
                    Permission.BLOCK,
                    Permission.CALLS_HANG_UP,
                    Permission.CALLS_TRACE,
                    Permission.CALLS_EXPLAIN,
                    Permission.CALLS_TEST,
                },
            ),
            _shipped(
                "rates",
                (
                    Permission.RATES_SEE,
                    Permission.RATES_CHANGE,
                    Permission.ROUTES_SEE,
                    Permission.CALLS_SEE,
                    Permission.DEFINITIONS_SEE,
                    Permission.JOBS,
                ),
            ),
            _shipped(
                "finance",
                _NO_PEOPLE
                | {
                    Permission.ACCOUNTS_CHANGE,
                    Permission.MONEY_BOOK,
                    Permission.BOOKS_CHANGE,
                    Permission.CALLS_EXPORT,
                    Permission.CALLS_EXPLAIN,
                    Permission.AUDIT_SEE,
                },
            ),
            _shipped("administrator", ALL),
            _shipped("agent", _OF_AGENTS, ActsFor.AGENT),
            _shipped("customer", _OF_CUSTOMERS, ActsFor.CUSTOMER),
        )
    }
)
"""The roles that ship, by name."""


def permissions_of(scopes: Collection[str]) -> frozenset[Permission]:
    """Return what scopes allow: a permission, a subject (``accounts``: all about them), or ``read``.

    Raises:
        OrderError: one says nothing of that.
    """
    found: set[Permission] = set()
    for scope in scopes:
        named = {each for each in Permission if scope in {each.value, each.value.partition(".")[0]}}
        if not named and scope != READ:
            subjects = ", ".join(sorted({each.value.partition(".")[0] for each in Permission}))
            said = f"{scope!r} is none: expected {READ}, a permission such as accounts.see, or one of {subjects}"
            raise OrderError("scope", said)
        found |= _SEEN if scope == READ else named
    return frozenset(found)
