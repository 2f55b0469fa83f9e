"""Answer REGISTERs of authenticated users from the live table.

The domain of the address of record is ignored: phones are configured with a name, an address of ours or that of a NAT
in front of us, and all mean this switch. Its user part must be the authenticated user (RFC 3261 section 10.3, step 4).
"""

from collections.abc import Iterable
from typing import Final

from vosd.catalogue.catalogue import Catalogue, RegistrationChanges
from vosd.catalogue.user_changes import countries_of, registrant
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


class Registrar(Counting):
    """Answers REGISTERs; ``adopt`` sets the users."""

    def __init__(
        self, endpoint: Endpoint, registrations: Registrations, catalogue: Catalogue, country_of: CountryOf = nowhere
    ) -> None:
        self._endpoint = endpoint
        self._registrations = registrations
        self._catalogue = catalogue
        self._country_of = country_of

    def adopt(self, catalogue: Catalogue, changes: RegistrationChanges) -> None:
        """Set the users that may register, and have bindings looked at that those may no longer have.

        These are bindings of users that are gone, or have other credentials, or from addresses that are not among the
        hosts of their user any more, or not in its countries. Many are removed in several turns; what asks for the
        bindings of a user meanwhile finds those alone that stay.
        """
        self._catalogue = catalogue
        if changes.names:
            self._registrations.examine(changes.names, _Examiner(changes, catalogue, self._country_of))
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
        user = registrant(name, catalogue)
        if user is None:
            return False
        is_host = bool(user.named_hosts) or catalogue.sources.may_send(user, host, port)
        return is_host and _is_in_countries(user, host, catalogue, self._country_of)

    def _kind_of(self, name: str) -> RegistrantKind | None:
        catalogue = self._catalogue
        return None if registrant(name, catalogue) is None else _kind_of(name, catalogue)

    def _carry_out(self, event: RegisterArrived) -> tuple[int, str]:
        catalogue = self._catalogue
        user = registrant(event.user, catalogue)
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


class _Examiner:
    """Says which bindings end because of a reload (``BindingExaminer``)."""

    def __init__(self, changes: RegistrationChanges, catalogue: Catalogue, country_of: CountryOf) -> None:
        self._changes = changes
        self._catalogue = catalogue
        self._country_of = country_of

    def end_of(self, name: str) -> Departure | None:
        if name in self._changes.gone:
            return Departure.REMOVED
        return Departure.OTHER_CREDENTIALS if name in self._changes.other_credentials else None

    def objection(self, name: str, host: str, port: int | None) -> Departure | None:
        catalogue, user = self._catalogue, registrant(name, self._catalogue)
        if user is None:
            return Departure.REMOVED
        if name in self._changes.other_hosts and not catalogue.sources.may_send(user, host, port):
            return Departure.OTHER_HOSTS
        is_there = name not in self._changes.other_countries
        is_there = is_there or _is_in_countries(user, host, catalogue, self._country_of)
        return None if is_there else Departure.OTHER_COUNTRIES


def _is_in_countries(user: MappingGateway, host: str, catalogue: Catalogue, country_of: CountryOf) -> bool:
    """Return whether an address is in the countries of a user, if it has any."""
    countries = user.countries or countries_of(catalogue, user.account)
    return not countries or not country_objection(host, countries, country_of)


def _kind_of(name: str, catalogue: Catalogue) -> RegistrantKind:
    if name in catalogue.phones:
        return RegistrantKind.PHONE
    return RegistrantKind.GATEWAY if name in catalogue.mapping_gateways else RegistrantKind.VENDOR
