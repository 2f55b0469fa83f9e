"""Use case of the audit: read who has changed what."""

import msgspec

from vosd.admin.office.needs import needs
from vosd.admin.office.office import Office
from vosd.admin.office.permissions import Permission
from vosd.admin.office.principal import Principal
from vosd.cdr.columns import iso_utc


class AuditSheet(msgspec.Struct, frozen=True):
    """A change that was made through the office."""

    at: str
    principal: str
    """The name that the records keep."""
    role: str
    login: str
    """The name that was proved."""
    means: str
    source: str
    """An address; empty = this machine."""
    action: str
    """Name of the order."""
    subject: str
    detail: msgspec.Raw
    """The order."""


class ListAudit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The newest lines; all given criteria must hold."""

    limit: int = 100
    principal: str | None = None
    subject: str | None = None


@needs(Permission.AUDIT_SEE)
async def list_audit(office: Office, who: Principal, order: ListAudit) -> list[AuditSheet]:
    """Return the lines, the newest first.

    Raises:
        OperatorsOnlyError: an agent asks.
        StoreUnavailable: the database cannot be reached.
    """
    lines = await office.stores.audit.newest(order.limit, order.principal, order.subject)
    return [AuditSheet(iso_utc(line.at), *line[1:8], msgspec.Raw(line.detail.encode())) for line in lines]
