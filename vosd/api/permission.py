"""Permissions that operations ask for; a role is a set of them."""

from enum import StrEnum


class Permission(StrEnum):
    """One kind of orders; its value stands in the OpenAPI document."""

    ACCOUNTS_SEE = "accounts.see"
    ACCOUNTS_CHANGE = "accounts.change"
    MONEY_SEE = "money.see"
    MONEY_BOOK = "money.book"
    RATES_SEE = "rates.see"
    ROUTES_SEE = "routes.see"
    ROUTES_CHANGE = "routes.change"
    CALLS_SEE = "calls.see"
    CALLS_HANG_UP = "calls.hang_up"
    BOOKS_SEE = "books.see"
    BLOCK = "block"
    STATE_SEE = "state.see"
    AUDIT_SEE = "audit.see"
    DEFINITIONS_SEE = "definitions.see"
    DEFINITIONS_CHANGE = "definitions.change"
