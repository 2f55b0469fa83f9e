"""Answer REGISTERs of authenticated users from the live table.

The domain of the address of record is ignored: phones are configured with a name, an address of ours or that of a NAT
in front of us, and all mean this switch. Its user part must be the authenticated user (RFC 3261 section 10.3, step 4).
"""

from collections.abc import Iterable
from functools import partial
from typing import Final, NamedTuple

from vosd.catalogue.catalogue import Catalogue, Changes
from vosd.engine.counting import Counting
from vosd.engine.registration.bindings import Departure, RegistrantKind, Registrations
from vosd.routing.access import CountryOf, country_objection, nowhere
from vosd.sip.endpoint import Endpoint
from vosd.sip.events import RegisterArrived
from vosd.sip.nat import is_answered_where_seen
from vosd.sip.registration.registrar import user_of
from vosd.sip.screening import ALLOW
from vosd.trunks.gateways import MappingGateway

_FORBIDDEN: Final = (403, "")
_NO_USERS: Final = (404, "")
_NOT_HERE: Final = (405, ALLOW)


class _User(NamedTuple):
    """User that may register: the user name of its digest, and its credentials."""

    username: str
    gateway: MappingGateway


_Users = dict[str, tuple[_User, RegistrantKind]]
"""By name: the phone's number, or the gateway's name."""


class Registrar(Counting):
    """Answers REGISTERs; ``adopt`` sets the users."""

    def __init__(self, endpoint: Endpoint, registrations: Registrations, country_of: CountryOf = nowhere) -> None:
        self._endpoint = endpoint
        self._registrations = registrations
        self._country_of = country_of
        self._users: _Users = {}
        self._catalogue: Catalogue | None = None
        """The catalogue that they are of."""

    def adopt(self, catalogue: Catalogue) -> None:
        """Set the users that may register; bindings of all others are removed.

        So are those of users with other credentials, or in another domain: a thief of the phone, or of its old
        password, or the customer that had its number before, would otherwise still receive its calls. A changed realm
        alone is no other password. And so are bindings from addresses that are not among the hosts of their user any
        more, or not in its countries.
        """
        before, earlier, changes = self._users, self._catalogue, catalogue.changes
        if changes is not None and (earlier is None or changes.since != earlier.version):
            changes = None  # they are those since another catalogue
        self._catalogue = catalogue
        now, gone = self._changed_users(catalogue) if changes is None else self._named_users(catalogue, changes)
        replaced = [(before[name][0], user) for name, (user, _) in now.items() if name in before]
        for name in gone:
            del before[name]
        before.update(now)
        self._registrations.remove(gone, [user.gateway.name for was, user in replaced if not _proves_as(was, user)])
        for was, user in replaced:
            if _hosts(was) != _hosts(user) and not user.gateway.named_hosts:  # names may not be resolved yet
                may_send = partial(catalogue.sources.may_send, user.gateway)
                self._registrations.keep_at(user.gateway.name, may_send, Departure.OTHER_HOSTS)
        abroad = [user.gateway for was, user in replaced if _origin(was) != _origin(user)]
        accounts = catalogue.accounts.keys() if changes is None else changes.accounts
        moved = {each for each in accounts if _countries(catalogue, each) != _countries(earlier, each)}
        if moved:
            abroad += [user.gateway for user, _ in before.values() if user.gateway.account in moved]
        for gateway in abroad:
            countries = gateway.countries or _countries(catalogue, gateway.account)
            if countries:
                self._registrations.keep_at(gateway.name, partial(self._is_in, countries), Departure.OTHER_COUNTRIES)
        self._registrations.remove_some()

    def _changed_users(self, catalogue: Catalogue) -> tuple[_Users, list[str]]:
        """Return the users that are new or changed in any catalogue, and the names of those that are gone."""
        before, names, now = self._users, set[str](), _Users()
        for username, gateway in catalogue.all_users():
            if gateway.enabled:
                names.add(gateway.name)
                known = before.get(gateway.name)  # a reload keeps the objects of users that have not changed
                if known is None or known[0].gateway is not gateway or known[0].username != username:
                    now[gateway.name] = _User(username, gateway), _kind_of(gateway.name, catalogue)
        gone = [name for name in before if name not in names]
        return now, gone + [name for name, (_, kind) in now.items() if name in before and before[name][1] is not kind]

    def _named_users(self, catalogue: Catalogue, changes: Changes) -> tuple[_Users, list[str]]:
        """Return the same of those that may have changed since the catalogue before; no phone is among them."""
        now = _Users()
        for name in changes.mapping_gateways:
            gateway = catalogue.mapping_gateways.get(name)
            if gateway is not None and gateway.enabled and gateway.credentials is not None:
                now[name] = _User(gateway.credentials.username, gateway), RegistrantKind.GATEWAY
        return now, [name for name in changes.mapping_gateways if name in self._users and name not in now]

    async def restore(self, catalogue: Catalogue) -> None:
        """Restore the registrations of an earlier process.

        Raises:
            StoreUnavailable: the database cannot be reached.
        """
        self._users, self._catalogue = _users_of(catalogue), catalogue
        await self._registrations.restore(self._kind_of, self._may_send)

    async def restore_copy(self, catalogue: Catalogue) -> None:
        """Restore what a copy of the database has, until ``catch_up``.

        Raises:
            StoreUnavailable: the copy cannot be read.
        """
        self._users, self._catalogue = _users_of(catalogue), catalogue
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
        if self._catalogue is None:
            return True
        gateway = self._users[name][0].gateway
        countries = gateway.countries or _countries(self._catalogue, gateway.account)
        is_host = bool(gateway.named_hosts) or self._catalogue.sources.may_send(gateway, host, port)
        return is_host and (not countries or self._is_in(countries, host, port))

    def _is_in(self, countries: frozenset[str], host: str, _port: int | None) -> bool:
        return not country_objection(host, countries, self._country_of)

    def _kind_of(self, name: str) -> RegistrantKind | None:
        known = self._users.get(name)
        return None if known is None else known[1]

    def _carry_out(self, event: RegisterArrived) -> tuple[int, str]:
        known = self._users.get(event.user) if event.user else None
        if known is None:
            return _FORBIDDEN if self._users else _NOT_HERE
        user, kind = known
        request = event.request
        if is_answered_where_seen(user.gateway.dialect.nat, request, event.source):
            event.transaction.answer_at(event.source)
        wanted = user_of(request)
        if wanted is None:
            return _NO_USERS
        if wanted not in (event.user, user.username):
            return _FORBIDDEN  # a user may register only itself
        outcome = self._registrations.register(event.user, kind, request, event.source, event.at)
        return outcome.status, outcome.headers


def _hosts(user: _User) -> tuple[object, ...]:
    """Return what says from which addresses a user may register."""
    return user.gateway.hosts, user.gateway.named_hosts


def _origin(user: _User) -> tuple[frozenset[str], str]:
    """Return what says from which countries a user may register."""
    return user.gateway.countries, user.gateway.account


def _countries(catalogue: Catalogue | None, account_id: str) -> frozenset[str]:
    """Return the only countries that users of an account may come from; empty = any."""
    account = None if catalogue is None else catalogue.accounts.get(account_id)
    return frozenset() if account is None else account.countries


def _proves_as(before: _User, now: _User) -> bool:
    """Return whether a user has the same password as before; added or removed algorithms do not matter.

    In another domain it is another user, whose registration the device of before cannot refresh. A user that had no
    domain, or has none any more, may have named that domain all the time.
    """
    if before.username != now.username:
        return False
    was, will_be = before.gateway.credentials, now.gateway.credentials
    if was is None or will_be is None:
        return True
    if was.realm != will_be.realm:
        return not (was.domain and will_be.domain)
    return all(was.ha1[name] == will_be.ha1[name] for name in was.ha1.keys() & will_be.ha1.keys())


def _users_of(catalogue: Catalogue) -> _Users:
    return {
        gateway.name: (_User(username, gateway), _kind_of(gateway.name, catalogue))
        for username, gateway in catalogue.all_users()
        if gateway.enabled
    }


def _kind_of(name: str, catalogue: Catalogue) -> RegistrantKind:
    if name in catalogue.phones:
        return RegistrantKind.PHONE
    return RegistrantKind.GATEWAY if name in catalogue.mapping_gateways else RegistrantKind.VENDOR
