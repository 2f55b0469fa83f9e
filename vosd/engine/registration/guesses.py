"""Wrong passwords by source and by user: where the password of which user may be tried (ADR 92).

From a source with too many failures no passwords are looked at. A user whose password is tried from ever new sources
waits longer each time. Neither holds for a user at its own homes. Decides about no message.
"""

from collections import Counter, OrderedDict
from typing import Final, NamedTuple, TypeVar

from vosd.base.host import source_of
from vosd.sip.digest.delays import Delays
from vosd.sip.digest.lockout import LockOut
from vosd.sip.digest.settings import LockOutSettings

HOMES_MAX: Final = 65_536
"""Most users with a source at which they have authenticated; the oldest is forgotten first."""
HOME_MS: Final = 7_200_000
"""Time for which a source counts as a user's own after an authentication, as ``PROVEN_MS`` does for the address."""

OPEN_OF_SOURCE_MAX: Final = 100
"""Most questions to others about passwords from one source that may be open, for users that are not at home there."""
OPEN_AT_HOME_MAX: Final = 100
"""Most open questions about one user from one of its homes."""
OPEN_AT_ONE_PLACE_MAX: Final = 1_000
"""Most open questions from one source, whatever it is: half of those that may wait, so that others can ask."""

_Key = TypeVar("_Key", str, tuple[str, str, str])
OpenQuestion = tuple[tuple[str, ...], ...]
"""A question to others about a password: the counts that it is in."""


class PasswordAttempt(NamedTuple):
    """A user and the source from which its password is tried."""

    domain: str
    username: str
    host: str
    port: int
    is_user: bool
    """Whether the user exists and may come from there. Others are treated alike, so that no answer tells them apart."""
    is_registered: bool
    """Whether the user is registered from this address and port."""
    is_gateway: bool
    """Whether the source is a gateway's address."""


class Failed(NamedTuple):
    """Effects of a wrong password."""

    locks_out: bool
    """No passwords are looked at from the source from now on."""
    delays_user: bool
    """The password of the user is not looked at for a while, unless it comes from a home of that user."""


class Guesses:
    """Counts wrong passwords; bounded."""

    def __init__(self, settings: LockOutSettings) -> None:
        self.sources: Final = LockOut(settings)
        """Sources that are no gateway's address."""
        self.gateways: Final = LockOut(settings)
        """Addresses of gateways."""
        self._users = Delays(settings)
        self._unknown_users = Delays(settings)
        """In a table of its own, so that invented names cannot push users out."""
        self._at_homes = Delays(settings)
        """By user and source, where the source is a home of the user; by address and port of a registration, because a
        neighbour behind the same NAT has another port."""
        self._homes: OrderedDict[tuple[str, str, str], int] = OrderedDict()
        self._sources_of_users: OrderedDict[str, int] = OrderedDict()
        """Sources that are a home of any user; those of ``_homes``."""
        self._open: Counter[tuple[str, ...]] = Counter()
        """Open questions by all that limits them."""

    def adopt(self, settings: LockOutSettings) -> None:
        """Apply other settings to failures from now on."""
        for each in (self.sources, self.gateways, self._users, self._unknown_users, self._at_homes):
            each.settings = settings

    def wait_ms(self, attempt: PasswordAttempt, mono_ms: int) -> int:
        """Return for how long a password is not looked at; 0 = it is."""
        if self._is_at_home(attempt, mono_ms):
            return self._at_homes.left_ms(_counted_at(attempt), mono_ms)
        delays = self._users if attempt.is_user else self._unknown_users
        locked = self.gateways if attempt.is_gateway else self.sources
        waits = delays.left_ms((attempt.domain, attempt.username), mono_ms)
        return max(waits, locked.left_ms(attempt.host, mono_ms))

    def source_wait_ms(self, host: str, mono_ms: int) -> int:
        """Return for how long no password of any user is looked at from a source; 0 = one may be.

        A locked out source that is a home of users returns 0: which user it is decides.
        """
        return 0 if self.has_home(host, mono_ms) else self.sources.left_ms(host, mono_ms)

    def is_suspect(self, host: str, mono_ms: int) -> bool:
        """Return whether a source is locked out, or has failed lately and is no home of users."""
        if self.sources.is_locked_out(host, mono_ms):
            return True
        return not self.has_home(host, mono_ms) and self.sources.has_failures(host, mono_ms)

    def ask(self, attempt: PasswordAttempt, mono_ms: int) -> OpenQuestion | None:
        """Count a question to others as open until ``answered``; None where too many are, and it may not be asked.

        A user that is not at home may have as many as it has guesses left, since each may turn out wrong; one that is
        has a limit, too, because a neighbour behind the same NAT guesses there as well. A source may have many: after
        an outage all phones behind a NAT register at once. A gateway's address may be a proxy with all phones behind
        it.
        """
        source, user = source_of(attempt.host), (attempt.domain, attempt.username)
        limits: dict[tuple[str, ...], int | None] = {("source", source): OPEN_AT_ONE_PLACE_MAX}
        if self._is_at_home(attempt, mono_ms):
            limits["home", *_counted_at(attempt)] = OPEN_AT_HOME_MAX
        else:
            limits["user", *user] = self._users.chances(user)
            if not attempt.is_gateway:
                limits["away from home", source] = OPEN_OF_SOURCE_MAX
        if any(most is not None and self._open[key] >= most for key, most in limits.items()):
            return None
        self._open.update(limits.keys())
        return tuple(limits)

    def answered(self, question: OpenQuestion) -> None:
        """Count a question as open no more."""
        for key in question:
            self._open[key] -= 1
            if not self._open[key]:
                del self._open[key]

    def failed(self, attempt: PasswordAttempt, mono_ms: int) -> Failed:
        """Count a wrong password."""
        locked = self.gateways if attempt.is_gateway else self.sources
        locks_out = locked.failed(attempt.host, mono_ms, attempt.username, attempt.domain)
        if self._is_at_home(attempt, mono_ms):
            self._at_homes.failed(_counted_at(attempt), mono_ms)
            return Failed(locks_out, delays_user=False)
        delays = self._users if attempt.is_user else self._unknown_users
        begins = delays.failed((attempt.domain, attempt.username), mono_ms)
        return Failed(locks_out, delays_user=begins and attempt.is_user)

    def succeeded(self, attempt: PasswordAttempt, mono_ms: int) -> None:
        """Forget the failures of this user at this source, no others; the source is a home of the user from now on."""
        self.sources.succeeded(attempt.host, attempt.username, attempt.domain)
        self.gateways.succeeded(attempt.host, attempt.username, attempt.domain)
        home = _home(attempt)
        self._at_homes.forget(_counted_at(attempt))
        _put_last(self._homes, home, mono_ms + HOME_MS)
        _put_last(self._sources_of_users, home[2], mono_ms + HOME_MS)

    def has_home(self, host: str, mono_ms: int) -> bool:
        """Return whether a source is a home of any user."""
        return self._sources_of_users.get(source_of(host), 0) > mono_ms

    def unblock(self, host: str, mono_ms: int) -> bool:
        """Let passwords be tried from a source again; return False if they may be."""
        found = [each.unblock(host, mono_ms) for each in (self.sources, self.gateways)]
        return any(found)

    def _is_at_home(self, attempt: PasswordAttempt, mono_ms: int) -> bool:
        """Return whether the source is a home of the user, which failures at other sources do not concern."""
        if not attempt.is_user:
            return False
        return attempt.is_registered or self._homes.get(_home(attempt), 0) > mono_ms


def _put_last(table: OrderedDict[_Key, int], key: _Key, until: int) -> None:
    table[key] = until
    table.move_to_end(key)
    if len(table) > HOMES_MAX:
        table.popitem(last=False)


def _home(attempt: PasswordAttempt) -> tuple[str, str, str]:
    return attempt.domain, attempt.username, source_of(attempt.host)


def _counted_at(attempt: PasswordAttempt) -> tuple[str, ...]:
    return (*_home(attempt), str(attempt.port)) if attempt.is_registered else _home(attempt)
