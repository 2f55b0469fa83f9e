"""Principals: a person, an agent, a customer or a program, the proof of it, and the address it comes from."""

from enum import Enum

import msgspec

from vosd.admin.agents import recorded_as
from vosd.admin.office.permissions import Permission
from vosd.storage.audit_line import AuditLine, JobRun, RequestKey


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
