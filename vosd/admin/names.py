"""Names typed by people: an unknown name is an error that lists similar ones, not an empty answer."""

from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final, Protocol

from vosd.base.cause import EndReason
from vosd.base.errors import VosError
from vosd.billing.accounts import Account
from vosd.storage.ports import CallFilter

if TYPE_CHECKING:
    from vosd.catalogue.catalogue import Catalogue
    from vosd.control.calls import CallSelection, CallSnapshot
    from vosd.storage.stores import SqlStores

NEAR_MAX: Final = 3
_COMPARED_MAX: Final = 2_000
"""Most names that are compared letter by letter: 100,000 take 3 s, in which a process answers no other request."""


class ConfiguredNames(Protocol):
    """The configured names; read only when needed."""

    def accounts(self) -> Collection[str]:
        """Return the ids of the accounts."""

    def gateways_by_list(self) -> Mapping[str, frozenset[str]]:
        """Return the names of all gateways and phones, by the list that they are in."""


class UnknownAccountError(VosError):
    """No account with that id is configured."""


class UnknownNameError(VosError):
    """No object with that name is configured or recorded."""


def near(word: str, names: Iterable[str]) -> list[str]:
    """Return the most similar names, best first; names that contain the word count as similar.

    Of more than some thousand only those are found that contain it.
    """
    by_form = {name.lower(): name for name in sorted(names)}
    form = word.lower()
    found = get_close_matches(form, by_form, n=NEAR_MAX) if len(by_form) <= _COMPARED_MAX else []
    found += [each for each in by_form if form and form in each and each not in found]
    return [by_form[each] for each in found[:NEAR_MAX]]


def unknown(kind: str, word: str, names: Collection[str], where: str) -> UnknownNameError:
    """Return the error for an unknown name; ``where`` says where all names are listed."""
    found = near(word, names)
    hint = f"did you mean {' or '.join(map(repr, found))}?" if found else where
    return UnknownNameError(f"no {kind} {word!r} is configured or recorded: {hint}")


def end_reason(text: str) -> str:
    """Return an end reason as CDRs spell it, of one in upper or lower case.

    Raises:
        UnknownNameError: there is none; the message lists similar ones.
    """
    reasons = {reason.text.lower(): reason.text for reason in EndReason}
    found = reasons.get(text.lower())
    if found is None:
        meant = near(text, reasons.values())
        hint = f"did you mean {' or '.join(map(repr, meant))}?" if meant else f"one of {', '.join(reasons.values())}"
        raise UnknownNameError(f"{text!r} is no end reason: {hint}")
    return found


def configured(accounts: Mapping[str, Account], account_id: str) -> Account:
    """Return a configured account; raises UnknownAccountError where it is not configured."""
    account = accounts.get(account_id)
    if account is None:
        raise unknown_account(accounts, account_id)
    return account


def unknown_account(accounts: Mapping[str, Account], account_id: str) -> UnknownAccountError:
    """Return the error for an account that is not configured, with similar names."""
    found = near(account_id, accounts)
    hint = f"did you mean {' or '.join(map(repr, found))}?" if found else "vosd account list names them"
    return UnknownAccountError(f"no account {account_id!r} is configured; {hint}")


def gateway_names(catalogue: "Catalogue") -> frozenset[str]:
    """Return the names of all gateways and phones."""
    return frozenset((*catalogue.mapping_gateways, *catalogue.routing_gateways))


async def check_names(wanted: CallFilter, names: ConfiguredNames, stores: "SqlStores", now: int) -> None:
    """Refuse a filter with an unknown name; a planned one is known, and a removed one with calls or money.

    ``names`` are the configured ones; ``now`` is in UTC milliseconds.

    Raises:
        UnknownNameError: with similar names.
        StoreUnavailable: the recorded names cannot be read.
    """
    for account in (wanted.account, wanted.customer, wanted.vendor):
        await check_account(account, names, stores, now)
    for gateway in (wanted.gateway, wanted.mapping_gateway, wanted.routing_gateway):
        lists = {} if gateway is None else names.gateways_by_list()
        if gateway is None or gateway in (gateways := frozenset().union(*lists.values())):
            continue
        recorded = await stores.queries.calls(CallFilter(gateway=gateway, limit=1))
        if not recorded and not await _is_planned(gateway, stores, now, lists):
            raise unknown("gateway", gateway, gateways, "vosd status --gateways names them")


async def check_account(account: str | None, names: ConfiguredNames, stores: "SqlStores", now: int) -> None:
    """Refuse an unknown account, as ``check_names`` does."""
    if account is None or account in names.accounts():
        return
    queries = stores.queries
    recorded = await queries.standing(account) or await queries.calls(CallFilter(account=account, limit=1))
    if not recorded and not await _is_planned(account, stores, now, {"accounts"}):
        accounts = {*names.accounts(), *(await stores.books.standings()).standings}
        raise unknown("account", account, accounts, "vosd account list names them")


async def _is_planned(name: str, stores: "SqlStores", now: int, kinds: Collection[str]) -> bool:
    """Return whether an object of that name, of one of these kinds, begins later."""
    planned = await stores.objects.planned(now)
    return any(each.kind in kinds and each.name == name and each.body is not None for each in planned)


def check_selection(selection: "CallSelection", catalogue: "Catalogue", running: "Iterable[CallSnapshot]") -> None:
    """Refuse a selection of running calls with an unknown name; a removed one with running calls is known.

    Raises:
        UnknownNameError: with similar names.
    """
    calls = tuple(running)
    account, gateway = selection.account, selection.gateway
    if account is not None:
        accounts = {
            *catalogue.accounts,
            *(name for call in calls for name in (call.customer_account, call.vendor_account) if name),
        }
        if account not in accounts:
            raise unknown("account", account, accounts, "vosd account list names them")
    if gateway is not None:
        gateways = {
            *gateway_names(catalogue),
            *(name for call in calls for name in (call.mapping_gateway, call.routing_gateway) if name),
        }
        if gateway not in gateways:
            raise unknown("gateway", gateway, gateways, "vosd status --gateways names them")


def check_gateway(gateway: str | None, catalogue: "Catalogue") -> None:
    """Refuse an unknown name of a gateway for future calls.

    Raises:
        UnknownNameError: no such gateway is configured; the message lists similar names.
    """
    if gateway is not None and gateway not in (gateways := gateway_names(catalogue)):
        raise unknown("gateway", gateway, gateways, "vosd status --gateways names them")
