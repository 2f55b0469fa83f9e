"""The eight rights of an agent, and that none is given which the giver lacks."""

from enum import StrEnum


class Right(StrEnum):
    """One of the rights of an agent, as its key ``rights`` names it; text, so that sets of them have an order."""

    ACCOUNTS = "accounts"
    """Add, delete and modify accounts below it."""
    PHONES = "phones"
    PHONE_CARDS = "phone_cards"
    GATEWAYS = "gateways"
    """Add and delete gateways of accounts below it, and take them out of service."""
    GATEWAY_INFORMATION = "gateway_information"
    """The addresses, ports, codecs, protocols and prefixes of gateways."""
    GATEWAY_CAPACITY = "gateway_capacity"
    OWN_PAYMENTS = "own_payments"
    """Payments for its own account, and its entries in the ledger."""
    SUB_PAYMENTS = "sub_payments"
    """Payments and credit for accounts below it, and their entries in the ledger."""


Rights = frozenset[Right]


def lacking(given: Rights, wanted: Rights) -> tuple[Right, ...]:
    """Return what is wanted for a sub-agent that its agent was not given, in the order of the rights."""
    return tuple(right for right in Right if right in wanted and right not in given)
