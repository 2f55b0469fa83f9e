"""Permissions that operations ask for; a role is a set of them."""

from enum import Enum


class Permission(Enum):
    """Part of the office that a principal may use; its value stands in the OpenAPI document."""

    STATUS = "status"
    """See the state of the installation."""
    DEFINITIONS_READ = "definitions:read"
    DEFINITIONS_WRITE = "definitions:write"
    MONEY_READ = "money:read"
    MONEY_WRITE = "money:write"
    CALLS_READ = "calls:read"
    CALLS_END = "calls:end"
    CDRS_READ = "cdrs:read"
    ROUTES_READ = "routes:read"
    """Explain routes and rates."""
    OVERRIDES_READ = "overrides:read"
    OVERRIDES_WRITE = "overrides:write"
    ALARMS_READ = "alarms:read"
    AUDIT_READ = "audit:read"
