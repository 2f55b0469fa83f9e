"""Meanings of fields that are the same wherever the API has them.

A docstring of the field comes first. A field with the name of a column of the CDR and with neither means what the
column does.
"""

from typing import Final

from vosd.cdr.columns import COLUMNS

_COLUMNS: Final = {each.name: each.meaning for each in COLUMNS}

WORDS: Final = {
    "account": "Name of the account.",
    "acd_s": "Average length of the answered calls, in seconds.",
    "amount": "Amount of money, as text.",
    "at": "Moment, RFC 3339.",
    "billed_seconds": "Seconds that are charged.",
    "bytes": "Size in bytes.",
    "call_id": "Id of the call; the beginning of it is enough where it is asked for.",
    "callee": "The called number.",
    "callee_out": "The called number that the vendor gets.",
    "caller": "The calling number.",
    "caller_out": "The calling number that the vendor gets.",
    "codec": "Codec of the answer.",
    "contact": "Address of the Contact header.",
    "cost": "The vendor's charge without tax, as text.",
    "cost_tax": "Tax on the vendor's charge, as text.",
    "created": "Time at which it was made, RFC 3339.",
    "created_by": "Name of the operator who has made it.",
    "currency": "ISO 4217; null = one that has no name.",
    "customer_account": "Account of the customer.",
    "direction": "`inbound`: registered with the switch; `outbound`: of the switch at a vendor.",
    "dry_run": "Everything is validated, and nothing changed.",
    "expires_at": "End of its validity, RFC 3339.",
    "fee": "Charge without tax, as text.",
    "gateway": "Name of the gateway.",
    "id": "Id of the object.",
    "kind": "Kind of the object, as in the path of its list, such as accounts.",
    "last_login": "Time of the last log-in, RFC 3339; null = none yet.",
    "made_at": "Time at which the version was made, RFC 3339.",
    "mapping_gateway": "Gateway or phone of the customer.",
    "memo": "Free text for people.",
    "month": "Month, written 2026-03.",
    "name": "Name of the object.",
    "node": "Name of the switch, `node` of the configuration.",
    "number": "Telephone number, digits alone.",
    "operator": "Name of the person or program that has made the change.",
    "password": "Password; it never comes back.",
    "pdd_ms": "Milliseconds from the INVITE to the first 18x or 200.",
    "permissions": "Names of the permissions.",
    "price_per_minute": "Price of a minute without tax, as text.",
    "rate_area": "Area of the rate.",
    "rate_group": "Name of the rate group.",
    "rate_prefix": "Prefix of the rate.",
    "reference": "Name of the booking, which is unique: the same one again books nothing.",
    "role": "Name of the role.",
    "routing_gateway": "Gateway of the vendor.",
    "since": "Beginning, RFC 3339; it is included.",
    "started_at": "Time of the beginning, RFC 3339.",
    "steps": "Steps, in their order.",
    "tax": "Tax, as text.",
    "unaudited": "Why the audit has no line of it; empty if it has one.",
    "until": "End, RFC 3339; it is not included.",
    "untold": "Why a running switch does not know of it yet; empty if it does, or if none runs.",
    "vendor_account": "Account of the vendor.",
    "vendor_billed_seconds": "Seconds that the vendor charges.",
    "vendor_currency": "Currency of the vendor's account, ISO 4217.",
    "version": "Number of the version.",
}


def word(name: str) -> str | None:
    """Return the meaning that a field of this name has everywhere; None = there is none."""
    column = _COLUMNS.get(name)
    return WORDS.get(name) or (None if column is None else f"{column[:1].upper()}{column[1:]}.")
