"""Principals who give orders: what proves them, the permissions that they have, and the accounts that they see."""

from collections.abc import Collection, Iterable, Mapping
from enum import Enum, StrEnum
from functools import cached_property
from types import MappingProxyType
from typing import Final

import msgspec

from vosd.admin.agents import MayNotActError, authority_of, authority_of_customer, recorded_as
from vosd.base.errors import VosError
from vosd.billing.accounts import Account
from vosd.billing.agents import Hierarchy
from vosd.billing.authority import Authority
from vosd.billing.rights import Right
from vosd.storage.audit_line import AuditLine, JobRun, RequestKey


class OrderError(VosError):
    """An order that says too little, too much or nothing that can be done; no state of the switch would change that."""

    def __init__(self, field: str, said: str, remedy: str = "") -> None:
        """``field`` of the order, ``said`` what is wrong with it, as the rest of a sentence that begins with it.

        Fields are named in backquotes, so that a front can name its own form of them.
        """
        super().__init__(f"`{field}` {said}{f': {remedy}' if remedy else ''}")
        self.field = field
        self.remedy = remedy


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


class Role(Enum):
    """Kind of principal; the value stands in the audit."""

    OPERATOR = "operator"
    """Belongs to the installation, and sees all accounts."""
    AGENT = "agent"
    """Acts on its own account and those below it, by its rights."""
    CUSTOMER = "customer"
    """Acts on its own account."""
    PROGRAM = "program"


class Means(Enum):
    """Proof by which a principal is known; the value stands in the audit."""

    TERMINAL = "terminal"
    """By its login on the machine."""
    TOKEN = "token"  # noqa: S105 - a kind of proof, no secret
    PAGE = "page"
    SWITCH = "switch"
    """The switch itself, in its own time."""


class TokenBounds(msgspec.Struct, frozen=True):
    """Bounds of a token, which hold for what it makes, too."""

    networks: tuple[str, ...]
    """Networks from which it may be used; empty = from anywhere."""
    expires_at: int | None
    """End of its validity; None = none."""


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """One who gives an order."""

    role: Role
    name: str
    """The name that the records keep; of an agent or a customer the name of the person, if there is one."""
    login: str
    """The name that was proved: of the machine's user, the token or the page's user."""
    means: Means
    permissions: frozenset[Permission]
    """The orders that it may give, about the accounts that it sees."""
    source: str = ""
    """Address from which the order comes; empty for this machine."""
    account: str | None = None
    """Account for which an agent or a customer acts."""
    bounds: TokenBounds | None = None
    """Bounds of the token that has proved it; None = it has none."""
    makers: tuple[str, ...] = ()
    """Logins of those who have made the token, each by the next one: tokens, and last a person, unless the terminal has
    made the last of them."""
    request: RequestKey | None = None
    """The request that has the order, where it may be repeated: it is kept in the transaction of the change."""
    job: JobRun | None = None
    """The job that carries the order out: its row says in the transaction of the change that it is made."""

    @property
    def recorded(self) -> str:
        """The operator that ledger and overrides name: an agent is recorded as such."""
        return recorded_as(self.account) if self.role is Role.AGENT and self.account is not None else self.name

    @property
    def person(self) -> str:
        """Login of the person behind a token, or of the first token, which the terminal has made; else its own."""
        return self.makers[-1] if self.makers else self.login

    def audit_line(self, order: msgspec.Struct, subject: str, at: int) -> AuditLine:
        """Return the line of a change that was made by an order at a moment (UTC milliseconds)."""
        return AuditLine(
            at=at,
            principal=self.recorded,
            role=self.role.value,
            login=self.login,
            means=self.means.value,
            source=self.source,
            action=type(order).__name__,
            subject=subject,
            detail=msgspec.json.encode(order).decode(),
            request=self.request,
            job=self.job,
        )


OTHERS: Final = "operator"
"""Name in place of operators that an agent or a customer does not see."""


class OperatorsOnlyError(VosError):
    """The order is for operators of the installation."""


class Scope:
    """Accounts that a principal sees, and its rights."""

    def __init__(self, authority: Authority | None) -> None:
        """``authority`` of None: everything."""
        self._authority = authority
        self.visible: Final = None if authority is None else authority.visible
        """The accounts that are visible; None = all."""

    @property
    def agent(self) -> str | None:
        """The account of the agent or customer that acts; None for an operator."""
        return None if self._authority is None else self._authority.agent

    def sees(self, account: str) -> bool:
        """Return whether an account is visible."""
        return self.visible is None or account in self.visible

    @cached_property
    def _operators(self) -> frozenset[str]:
        """Operators of the tree, as records name them; most requests need none."""
        return frozenset(map(recorded_as, self.visible or ()))

    def sees_operator(self, name: str) -> bool:
        """Return whether the name of an operator is shown: agents and customers see those of their tree alone."""
        return self._authority is None or name in self._operators

    def shown_operator(self, name: str) -> str:
        """Return the name of an operator as the principal sees it."""
        return name if self.sees_operator(name) else OTHERS

    def require_operator(self) -> None:
        """Check that an operator acts; raises OperatorsOnlyError where an agent or a customer does."""
        if self._authority is not None:
            message = f"{self._authority.called} {self._authority.agent} may not do this: it is for operators"
            raise OperatorsOnlyError(message)

    def require_visible(self, account: str) -> None:
        """Check that an account is visible; raises OutOfScopeError."""
        if self._authority is not None:
            self._authority.require_visible(account)

    def require_below(self, account: str, right: Right) -> None:
        """Check that an account may be changed by a right; raises OutOfScopeError or RightLackingError."""
        if self._authority is not None:
            self._authority.require_below(account, right)

    def require_right(self, *rights: Right) -> None:
        """Check that the principal has one of some rights; raises RightLackingError."""
        if self._authority is not None:
            self._authority.require(*rights)

    def has_right(self, right: Right) -> bool:
        """Return whether the principal has a right."""
        return self._authority is None or right in self._authority.rights

    def require_ledger(self, account: str) -> None:
        """Check that entries of an account may be read and made; raises OutOfScopeError or RightLackingError."""
        if self._authority is not None:
            self._authority.require_ledger(account)


def scope_of(
    principal: Principal, accounts: Mapping[str, Account], hierarchy: Hierarchy, *, was_agent: bool = False
) -> Scope:
    """Return what a principal sees and may do; ``hierarchy`` has all accounts, or all from its own upwards.

    ``was_agent``: an agent may have no account below it any more.

    Raises:
        UnknownAccountError, NoAgentError, MayNotActError: an account that does not exist, is no agent, or is disabled.
        MayNotActError: an agent or a customer without an account, or an operator with one; the account of a person or
            a token is gone.
    """
    if principal.role in {Role.OPERATOR, Role.PROGRAM} and principal.account is None:
        return Scope(None)
    if principal.account not in accounts and principal.means in {Means.PAGE, Means.TOKEN}:
        raise MayNotActError(
            f"{principal.name}, {principal.role.value}, may not act: account {principal.account} is not configured"
        )
    if principal.role is Role.AGENT and principal.account is not None:
        return Scope(authority_of(accounts, hierarchy, principal.account, was_agent=was_agent))
    if principal.role is Role.CUSTOMER and principal.account is not None:
        return Scope(authority_of_customer(accounts, hierarchy, principal.account))
    raise MayNotActError(f"{principal.name}, {principal.role.value}, may not act for account {principal.account}")
