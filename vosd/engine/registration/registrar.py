"""Answer REGISTERs of authenticated users from the live table.

The domain of the address of record is ignored: phones are configured with a name, an address of ours or that of a NAT
in front of us, and all mean this switch. Its user part must be the authenticated user (RFC 3261 section 10.3, step 4).
"""

from collections.abc import Iterable
from functools import partial
from typing import Final

from vosd.catalogue.catalogue import Catalogue
from vosd.engine.counting import Counting
from vosd.engine.registration.bindings import Departure, RegistrantKind, Registrations
from vosd.routing.access import CountryOf, country_objection, nowhere
from vosd.sip.endpoint import Endpoint
from vosd.sip.events import RegisterArrived
from vosd.sip.nat import is_answered_where_seen
from vosd.sip.registration.registrar import user_of
from vosd.sip.screening import ALLOW
from vosd.trunks.gateways import MappingGateway, registering_half

_FORBIDDEN: Final = (403, "")
_NO_USERS: Final = (404, "")
_NOT_HERE: Final = (405, ALLOW)


class Registrar(Counting):
    """Answers REGISTERs; ``adopt`` sets the users."""

    def __init__(
        self, endpoint: Endpoint, registrations: Registrations, catalogue: Catalogue, country_of: CountryOf = nowhere
    ) -> None:
        self._endpoint = endpoint
        self._registrations = registrations
        self._catalogue = catalogue
        self._country_of = country_of

    def adopt(self, catalogue: Catalogue) -> None:
        """Set the users that may register; bindings of all others are removed. It costs what has changed.

        So are those of users with other credentials, or in another domain: a thief of the phone, or of its old
        password, or the customer that had its number before, would otherwise still receive its calls. A changed realm
        alone is no other password. And so are bindings from addresses that are not among the hosts of their user any
        more, or not in its countries.
        """
        earlier, self._catalogue = self._catalogue, catalogue
        changes = catalogue.changes_since(earlier)
        gone: list[str] = []
        replaced: list[tuple[MappingGateway, MappingGateway]] = []
        for name in sorted(changes.mapping_gateways | changes.phones | changes.routing_gateways):
            was, user = _user(name, earlier), _user(name, catalogue)
            if was is not None:
                if user is None or _kind_of(name, earlier) is not _kind_of(name, catalogue):
                    gone.append(name)
                if user is not None:
                    replaced.append((was, user))
        self._registrations.remove(gone, [user.name for was, user in replaced if not _proves_as(was, user)])
        for was, user in replaced:
            if _hosts(was) != _hosts(user) and not user.named_hosts:  # names may not be resolved yet
                may_send = partial(catalogue.sources.may_send, user)
                self._registrations.keep_at(user.name, may_send, Departure.OTHER_HOSTS)
        abroad = [user for was, user in replaced if _origin(was) != _origin(user)]
        moved = {each for each in changes.accounts if _countries(catalogue, each) != _countries(earlier, each)}
        if moved:
            abroad += [user for _, user in catalogue.all_users() if user.enabled and user.account in moved]
        for user in abroad:
            countries = user.countries or _countries(catalogue, user.account)
            if countries:
                self._registrations.keep_at(user.name, partial(self._is_in, countries), Departure.OTHER_COUNTRIES)
        self._registrations.remove_some()

    async def restore(self, catalogue: Catalogue) -> None:
        """Restore the registrations of an earlier process.

        Raises:
            StoreUnavailable: the database cannot be reached.
        """
        self._catalogue = catalogue
        await self._registrations.restore(self._kind_of, self._may_send)

    async def restore_copy(self, catalogue: Catalogue) -> None:
        """Restore what a copy of the database has, until ``catch_up``.

        Raises:
            StoreUnavailable: the copy cannot be read.
        """
        self._catalogue = catalogue
        await self._registrations.restore_copy(self._kind_of, self._may_send)

    async def catch_up(self) -> None:
        """Take the registrations of the database, apart from what has changed here since ``restore_copy``.

        Raises:
            StoreUnavailable: the database cannot be reached.
        """
        await self._registrations.restore(self._kind_of, self._may_send)

    def report_absent(self, names: Iterable[str]) -> None:
        """Log again which of these users are not registered, as an earlier process did."""
        for name in names:
            kind = self._kind_of(name)
            if kind is not None:
                self._registrations.report_absent(name, kind)

    def take_register(self, event: RegisterArrived) -> None:
        """Answer a REGISTER; raises ParseError where it cannot be read."""
        status, headers = self._carry_out(event)
        endpoint = self._endpoint
        event.transaction.respond(status, endpoint.token(), endpoint.server_header + headers, event.at)

    def _may_send(self, name: str, host: str, port: int | None) -> bool:
        """Return whether a user may have a registration at an address: it is among its hosts, and in its countries."""
        catalogue = self._catalogue
        user = _user(name, catalogue)
        if user is None:
            return False
        countries = user.countries or _countries(catalogue, user.account)
        is_host = bool(user.named_hosts) or catalogue.sources.may_send(user, host, port)
        return is_host and (not countries or self._is_in(countries, host, port))

    def _is_in(self, countries: frozenset[str], host: str, _port: int | None) -> bool:
        return not country_objection(host, countries, self._country_of)

    def _kind_of(self, name: str) -> RegistrantKind | None:
        catalogue = self._catalogue
        return None if _user(name, catalogue) is None else _kind_of(name, catalogue)

    def _carry_out(self, event: RegisterArrived) -> tuple[int, str]:
        catalogue = self._catalogue
        user = _user(event.user, catalogue)
        if user is None:
            return _FORBIDDEN if catalogue.has_users else _NOT_HERE
        request = event.request
        if is_answered_where_seen(user.dialect.nat, request, event.source):
            event.transaction.answer_at(event.source)
        wanted = user_of(request)
        if wanted is None:
            return _NO_USERS
        if wanted not in (event.user, user.credentials and user.credentials.username):
            return _FORBIDDEN  # a user may register only itself
        kind = _kind_of(event.user, catalogue)
        outcome = self._registrations.register(event.user, kind, request, event.source, event.at)
        return outcome.status, outcome.headers


def _user(name: str, catalogue: Catalogue) -> MappingGateway | None:
    """Return the phone or gateway that may register under a name; it has credentials."""
    user = catalogue.mapping_gateways.get(name)
    if user is None or user.credentials is None:
        vendor = catalogue.routing_gateways.get(name)
        user = None if vendor is None or vendor.credentials is None else registering_half(vendor)
    return None if user is None or not user.enabled else user


def _hosts(user: MappingGateway) -> tuple[object, ...]:
    """Return what says from which addresses a user may register."""
    return user.hosts, user.named_hosts


def _origin(user: MappingGateway) -> tuple[frozenset[str], str]:
    """Return what says from which countries a user may register."""
    return user.countries, user.account


def _countries(catalogue: Catalogue, account_id: str) -> frozenset[str]:
    """Return the only countries that users of an account may come from; empty = any."""
    account = catalogue.accounts.get(account_id)
    return frozenset() if account is None else account.countries


def _proves_as(before: MappingGateway, now: MappingGateway) -> bool:
    """Return whether a user has the same password as before; added or removed algorithms do not matter.

    In another domain it is another user, whose registration the device of before cannot refresh. A user that had no
    domain, or has none any more, may have named that domain all the time.
    """
    was, will_be = before.credentials, now.credentials
    if was is None or will_be is None:
        return True
    if was.username != will_be.username:
        return False
    if was.realm != will_be.realm:
        return not (was.domain and will_be.domain)
    return all(was.ha1[name] == will_be.ha1[name] for name in was.ha1.keys() & will_be.ha1.keys())


def _kind_of(name: str, catalogue: Catalogue) -> RegistrantKind:
    if name in catalogue.phones:
        return RegistrantKind.PHONE
    return RegistrantKind.GATEWAY if name in catalogue.mapping_gateways else RegistrantKind.VENDOR
