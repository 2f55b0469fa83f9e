"""Use case of the audit: read who has changed what."""

from typing import Annotated, Any

import msgspec
from msgspec.structs import asdict

from vosd.admin.office.office import Office, needs
from vosd.admin.office.principal import Permission, Principal
from vosd.cdr.columns import iso_utc


class AuditSheet(msgspec.Struct, frozen=True):
    """A change that was made through the office, or a look at messages of calls."""

    id: int
    """Number of the line; later ones are higher."""
    at: str
    principal: str
    """The name that the records keep."""
    role: str
    """Role of the principal: operator, agent, customer or program."""
    login: str
    """The name that was proved."""
    means: str
    """Proof of the principal: ``terminal``, ``token``, ``page`` or ``switch`` (it acts by itself)."""
    source: str
    """An address; empty = this machine."""
    action: str
    """Name of the order."""
    subject: str
    """The object that was changed or looked at."""
    detail: Any
    """The order."""


class ListAudit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The newest lines, or the oldest ones; all given criteria must hold."""

    limit: Annotated[int, msgspec.Meta(ge=1)] = 100
    principal: str | None = None
    """The name that the records keep."""
    login: str | None = None
    """The name that was proved."""
    subject: str | None = None
    """The object that it is about, such as an account or a call."""
    action: str | None = None
    """Name of the order."""
    since: int | None = None
    until: int | None = None
    after: int | None = None
    """Number of a line: those that are listed after it follow."""
    oldest_first: bool = False
    """Whether the line that was written first comes first."""
    number: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Number of the one line that is wanted."""


@needs(Permission.AUDIT_SEE)
async def list_audit(office: Office, who: Principal, order: ListAudit) -> list[AuditSheet]:
    """Return the lines, the newest first unless ``oldest_first``."""
    lines = await office.stores.audit.newest(**asdict(order))
    return [
        AuditSheet(line.number or 0, iso_utc(line.at), *line[1:8], msgspec.json.decode(line.detail)) for line in lines
    ]
