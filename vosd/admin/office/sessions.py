"""Use cases of people who prove who they are: links, log-ins, sessions, passwords and second factors of their own.

They come before there is a principal, so they take the address that the request comes from in its place. A front keeps
the id of a session in a cookie, and sends the CSRF token back with every request that changes something.
"""

import hmac
import secrets
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final, NamedTuple

import msgspec

from vosd.admin.office.log_in_turns import LogInSource, LogInStanding, LogInTurns, TooManyLogInsError
from vosd.admin.office.office import Office
from vosd.admin.office.passwords import LENGTH_MAX, check_password, hashed, matches
from vosd.admin.office.people import HIDDEN, ChangedMeanwhileError, digest_of
from vosd.admin.office.principal import ActsFor, Means, Permission, Principal, Role, RoleSheet
from vosd.admin.office.roles import role_named
from vosd.admin.office.second_factor import (
    digest_of_recovery,
    is_used,
    new_secret,
    opened,
    recovery_codes,
    sealed,
    step_of,
    uri,
    written,
)
from vosd.admin.office.tokens import UnauthorizedError
from vosd.base.errors import VosError
from vosd.base.host import owner_network_of, source_of
from vosd.cdr.columns import iso_utc
from vosd.cdr.kinds import NAME_LENGTH
from vosd.cdr.ports import StoreUnavailable
from vosd.engine.clock import monotonic_ms
from vosd.engine.registration.guesses import Guesses, PasswordAttempt
from vosd.sip.digest.settings import LockOutSettings
from vosd.storage.access import NoSuchRoleError
from vosd.storage.audit_line import AuditLine
from vosd.storage.people import StoredPerson, StoredSession

ASKING_OF_SOURCE_MAX: Final = 4
"""Questions to the identity provider of one source that may be open."""
AT_ONCE: Final = 30
"""Lines that are written however fast log-ins are refused."""
EVERY_MS: Final = 60_000
"""One more line after so long."""


class RefuseLogIn(msgspec.Struct, frozen=True, omit_defaults=True):
    """A log-in that was refused."""

    why: str
    locks_out: bool = False
    """Whether the address was locked out by it."""
    left_out: int = 0
    """Number of refused log-ins before it that have no line."""


class RefusedLogIns:
    """Writes the lines of one process."""

    def __init__(self, mono_ms: Callable[[], int]) -> None:
        """``mono_ms`` returns monotonic milliseconds."""
        self._mono_ms = mono_ms
        self._spent_until = 0
        """Moment at which all lines may be written at once again, monotonic milliseconds."""
        self._left_out = 0

    async def note(self, office: Office, source: str, name: str | None, why: str, *, locks_out: bool = False) -> None:
        """Write a line, where one is due; without ``name`` there is no such person.

        The name that was given then is not written: people type their password into that field.
        """
        now = self._mono_ms()
        spent_until = max(self._spent_until, now) + EVERY_MS
        if spent_until - now > AT_ONCE * EVERY_MS:
            self._left_out += 1
            return
        self._spent_until = spent_until
        left_out, self._left_out = self._left_out, 0
        line = AuditLine(
            at=office.now(),
            principal="",
            role="",
            login="",
            means=Means.PAGE.value,
            source=source,
            action=RefuseLogIn.__name__,
            subject=name or "",
            detail=msgspec.json.encode(RefuseLogIn(why, locks_out, left_out)).decode(),
        )
        with suppress(StoreUnavailable):  # the log-in is refused all the same
            await office.stores.audit.add(line)
            return
        self._left_out += left_out + 1


NETWORKS_MAX: Final = 16_384
"""Most networks; the one whose last failure is the oldest is forgotten first."""


class FailedNetworks:
    """Networks by the end of the time for which their last failure counts.

    The owner of a network has a new source for each guess: 65,536 in an IPv6 /48. One failure marks all of them.
    """

    def __init__(self, counts_ms: int) -> None:
        self._counts_ms = counts_ms
        self._until: OrderedDict[str, int] = OrderedDict()

    def failed(self, network: str, now: int) -> None:
        """Note a failure."""
        self._until[network] = now + self._counts_ms
        self._until.move_to_end(network)
        if len(self._until) > NETWORKS_MAX:
            self._until.popitem(last=False)

    def has_failed(self, network: str, now: int) -> bool:
        """Return whether a failure of a network counts."""
        return self._until.get(network, 0) > now


IDLE_MS: Final = 30 * 60_000
"""A session that is not used for so long ends."""
LIFE_MS: Final = 12 * 3_600_000
"""End of a session, however much it is used."""
USE_NOTED_MS: Final = 60_000
_SECRET_BYTES: Final = 32
_USED_CODE: Final = "used code"
_ROLE_OF: Final = {ActsFor.INSTALLATION: Role.OPERATOR, ActsFor.AGENT: Role.AGENT, ActsFor.CUSTOMER: Role.CUSTOMER}


class LogInRefusedError(VosError):
    """The name, the password or the code is wrong, or the person is disabled; which of these is not said."""


class CodeMissingError(VosError):
    """The password is right, and the person has a second factor."""


class SecondFactorMissingError(VosError):
    """The role demands a second factor, and the person has none yet."""


class TooManyGuessesError(VosError):
    """Passwords are not looked at for a while."""

    def __init__(self, retry_after_s: int) -> None:
        """``retry_after_s``: seconds after which they are."""
        super().__init__(f"too many wrong passwords: try again in {retry_after_s} s")
        self.retry_after_s = retry_after_s


class TooManyCodesError(VosError):
    """The identity provider has refused many log-ins of a source: it is not asked about others of it for a while."""

    code = "too_many_guesses"

    def __init__(self, retry_after_s: int) -> None:
        """``retry_after_s``: seconds after which it is."""
        super().__init__(
            f"the identity provider has refused too many log-ins of this address: try again in {retry_after_s} s"
        )
        self.retry_after_s = retry_after_s


class CsrfError(VosError):
    """A request that changes something lacks the token of its session."""


class LinkRefusedError(VosError):
    """The link is unknown, was used before, or has ended."""


class LogIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person with the proof."""

    name: str
    """Name of the person."""
    password: str
    code: str = ""
    """Code of the second factor, or a recovery code."""


class SessionSheet(msgspec.Struct, frozen=True, kw_only=True):
    """A session as its person sees it."""

    csrf: str
    """Token that requests which change something send back."""
    name: str
    """Name of the person."""
    role: str
    account: str | None
    """Account of an agent or customer; None = the whole installation."""
    permissions: tuple[Permission, ...]
    ends: str
    """RFC 3339; it ends before that where it is not used for 30 minutes."""
    wants_totp: bool
    """A second factor has to be set up before anything else."""
    has_password: bool
    """The person has a password, and not only an identity provider to log in by."""
    has_totp: bool
    """The person has a second factor: a new password and a new second factor take a code of it."""


class OpenedSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session that has begun."""

    session: str
    """The id, for the cookie alone."""
    sheet: SessionSheet


class LogIns:
    """Log-ins of one process: wrong passwords are counted here, and one password is hashed at a time.

    The counts are those of the registrar (ADR 92): by source, and by attacked person with growing delays.
    """

    def __init__(self, mono_ms: Callable[[], int] = monotonic_ms) -> None:
        """``mono_ms`` returns monotonic milliseconds: a wall clock that is put back would lock out for days."""
        settings = LockOutSettings()
        self._mono_ms = mono_ms
        self._guesses = Guesses(settings)
        self._networks = FailedNetworks(settings.suspend_ms)
        self.refused: Final = RefusedLogIns(mono_ms)
        self._turns = LogInTurns()
        self._codes = Guesses(settings)
        """Log-ins that the identity provider has refused, apart from wrong passwords."""
        self._asking = Counter[str]()
        """Questions to the identity provider that are open, by source."""

    @contextmanager
    def asking_provider(self, source: str) -> Iterator[None]:
        """Ask the identity provider about a code that a browser has brought, and count the codes that it refuses.

        Anyone can bring codes: without a bound those of one source would take all places at the provider.

        Raises:
            TooManyCodesError, TooManyLogInsError: it is not to be asked.
        """
        wait_ms = self._codes.source_wait_ms(source, self._mono_ms())
        if wait_ms:
            raise TooManyCodesError(-(-wait_ms // 1_000))
        counted = source_of(source)
        if self._asking[counted] >= ASKING_OF_SOURCE_MAX:
            raise TooManyLogInsError
        self._asking[counted] += 1
        try:
            yield
        except LogInRefusedError:
            self._codes.failed(_attempt_at_provider("", source), self._mono_ms())
            raise
        finally:
            self._asking[counted] -= 1
            if not self._asking[counted]:
                del self._asking[counted]

    def proved_at_provider(self, name: str, source: str) -> None:
        """Have a person's log-ins from a source go on, however many codes others bring from there."""
        self._codes.succeeded(_attempt_at_provider(name, source), self._mono_ms())

    async def log_in(self, office: Office, source: str, order: LogIn) -> OpenedSession:
        """Open a session.

        Raises:
            LogInRefusedError, CodeMissingError: not with these words.
            TooManyGuessesError, TooManyLogInsError: the password was not looked at.
            SealedElsewhereError: the second factor cannot be read.
        """
        person = await self._prove(office, source, order)
        try:
            role = await role_named(office, person.role)
        except NoSuchRoleError as error:
            raise LogInRefusedError(f"the role {person.role} of {person.name} is gone: ask an administrator") from error
        hidden = LogIn(name=order.name, password=HIDDEN)
        line = office.audit_line(_principal(person, role, source), hidden, person.name)
        return await open_session(office, person, role, source, line, by_provider=False)

    async def change_password(self, office: Office, who: Principal, order: "ChangePassword", session: str) -> str:
        """Change the password of the person whose session it is, end all its sessions, and return the id of a new one.

        Raises:
            LogInRefusedError, CodeMissingError, TooManyGuessesError: the old password does not prove it.
            OrderError: the new one is easy to guess.
        """
        check_password(order.new, who.login)
        proof = LogIn(name=who.login, password=order.old, code=order.code)
        before = await self._prove(office, who.source, proof)
        after = msgspec.structs.replace(before, password=await hashed(order.new))
        line = office.audit_line(who, ChangePassword(old=HIDDEN, new=HIDDEN), who.login)
        return await _change_and_renew(office, before, after, line, session)

    async def begin_totp(self, office: Office, who: Principal, order: "BeginTotp") -> "BegunTotp":
        """Return the secret of a new second factor.

        Raises:
            LogInRefusedError, CodeMissingError, TooManyGuessesError: the present one has to be proved.
        """
        before, secret = await _own(office, who), new_secret()
        if before.totp is not None:
            before = await self._prove(
                office, who.source, LogIn(name=who.login, password=order.password, code=order.code)
            )
        after = msgspec.structs.replace(before, totp_begun=sealed(secret, office.definitions.settings.state_dir))
        await _change(office, before, after, office.audit_line(who, BeginTotp(), who.login))
        return BegunTotp(written(secret), uri(secret, who.login))

    async def _prove(self, office: Office, source: str, order: LogIn) -> StoredPerson:
        """Return the person that the words prove; count those that prove nothing."""
        wait_ms = self._guesses.source_wait_ms(source, self._mono_ms())
        if wait_ms:  # before it takes a place: a source that goes on would keep all others out
            raise TooManyGuessesError(-(-wait_ms // 1_000))
        standing = self._standing(source, self._mono_ms())
        # Many at once are counted one by one, and take the memory of one.
        async with self._turns.turn(LogInSource(source_of(source), owner_network_of(source)), standing):
            return await self._judge(office, source, order)

    def _standing(self, source: str, now: int) -> LogInStanding:
        if self._guesses.is_suspect(source, now):
            return LogInStanding.FAILED
        if self._guesses.has_home(source, now):
            return LogInStanding.PROVEN
        has_failed = self._networks.has_failed(owner_network_of(source), now)
        return LogInStanding.BESIDE_FAILED if has_failed else LogInStanding.NEW

    async def _judge(self, office: Office, source: str, order: LogIn) -> StoredPerson:
        people, name = office.stores.people, order.name[:NAME_LENGTH]
        person = await people.find(name) if name.isprintable() else None
        counted = name if person is None else person.name
        attempt = PasswordAttempt("", counted, source, 0, person is not None, is_registered=False, is_gateway=False)
        wait_ms = self._guesses.wait_ms(attempt, self._mono_ms())
        if wait_ms:
            raise TooManyGuessesError(-(-wait_ms // 1_000))
        is_right = await matches(order.password[: LENGTH_MAX + 1], None if person is None else person.password)
        if is_right and person is not None and person.disabled_at is None:
            if person.totp is None:
                self._guesses.succeeded(attempt, self._mono_ms())
                return person
            if not order.code:
                raise CodeMissingError("the password is right: send the code of the second factor with it")
            after = _with_code_used(office, person, order.code)
            if after is not None and await people.change(person, after):
                self._guesses.succeeded(attempt, self._mono_ms())
                return after
        failed = self._guesses.failed(attempt, self._mono_ms())
        self._networks.failed(owner_network_of(source), self._mono_ms())
        why = "unknown person" if person is None else "wrong password" if not is_right else "disabled person"
        if is_right and person is not None and person.disabled_at is None:
            why = _USED_CODE if _is_code_used(office, person, order.code) else "wrong code"
        known = None if person is None else person.name
        await self.refused.note(office, source, known, why, locks_out=failed.locks_out)
        if why == _USED_CODE:
            raise LogInRefusedError("this code was used before, perhaps where the answer was lost: wait for the next")
        raise LogInRefusedError("the name, the password or the code is wrong, or the person is disabled")


def _attempt_at_provider(name: str, source: str) -> PasswordAttempt:
    return PasswordAttempt("", name, source, 0, is_user=bool(name), is_registered=False, is_gateway=False)


async def open_session(
    office: Office, person: StoredPerson, role: RoleSheet, source: str, line: AuditLine, *, by_provider: bool
) -> OpenedSession:
    """Open a session of a person who has proved who it is; ``by_provider``: its second factor is asked for elsewhere.

    Raises:
        ChangedMeanwhileError: the person is not as it was when it did.
    """
    now, session, csrf = office.now(), secrets.token_urlsafe(_SECRET_BYTES), secrets.token_urlsafe(_SECRET_BYTES)
    stored = StoredSession(
        digest=digest_of(session),
        person=person.name,
        csrf=csrf,
        source=source,
        created_at=now,
        used_at=now,
        ends_at=now + LIFE_MS,
        by_provider=int(by_provider),
    )
    after = msgspec.structs.replace(person, logged_in_at=now)
    if not await office.stores.people.change(person, after, line, opens=stored):
        raise ChangedMeanwhileError(f"person {person.name} was changed at the same time: log in again")
    return OpenedSession(session=session, sheet=session_sheet(stored, person, role))


class ChangePassword(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new password of the person who is logged in."""

    old: str
    """The present password."""
    new: str
    """The new password."""
    code: str = ""
    """Code of the second factor, where there is one."""


class UseLink(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first password of a person, or the one after a reset."""

    link: str
    """The secret of the link, or the whole link."""
    password: str
    """The new password."""


class UsedLink(msgspec.Struct, frozen=True):
    """A link that has set a password; the person logs in with that."""

    name: str
    """Name of the person."""


async def use_link(office: Office, source: str, order: UseLink) -> UsedLink:
    """Set the password of the person of a link; the link ends with that.

    Raises:
        LinkRefusedError: the link is no good, or no more.
        OrderError: the password is easy to guess.
    """
    secret, people = order.link.rpartition("/")[2], office.stores.people
    before = await people.of_link(digest_of(secret)) if secret else None
    refused = LinkRefusedError("the link is unknown, was used before, or has ended: ask for another one")
    if before is None or before.disabled_at is not None or (before.link_until or 0) <= office.now():
        raise refused
    check_password(order.password, before.name)
    try:
        role = await role_named(office, before.role)
    except NoSuchRoleError as error:
        raise LinkRefusedError(f"the role {before.role} of {before.name} is gone: ask an administrator") from error
    after = msgspec.structs.replace(before, password=await hashed(order.password), link=None, link_until=None)
    line = office.audit_line(_principal(before, role, source), UseLink(link=HIDDEN, password=HIDDEN), before.name)
    if not await people.change(before, after, line, ends_sessions=True):
        raise refused
    return UsedLink(before.name)


async def principal_of_session(
    office: Office,
    session: str,
    source: str,
    *,
    csrf: str | None = None,
    changes: bool,
    enrols: bool = False,
    is_use: bool = True,
) -> Principal:
    """Return the principal of a session.

    ``changes``: the request may change something, so ``csrf`` has to be the token of the session. ``enrols``: it sets
    up the second factor, which others wait for where the role demands one. ``is_use``: it keeps an idle session alive.

    Raises:
        UnauthorizedError: there is no such session, or it has ended.
        CsrfError, SecondFactorMissingError: it may not do this.
    """
    stored, person, role = await _session(office, session)
    if changes and (csrf is None or not hmac.compare_digest(csrf.encode(), stored.csrf.encode())):
        raise CsrfError("a request that changes something sends the CSRF token of the session")
    if _lacks_totp(stored, person, role) and not enrols:
        raise SecondFactorMissingError(f"the role {role.name} demands a second factor: set one up")
    if is_use and office.now() - stored.used_at >= USE_NOTED_MS:
        await office.stores.people.note_use(stored.digest, office.now())
    return _principal(person, role, source)


async def show_session(office: Office, session: str) -> SessionSheet:
    """Return a session without its id; raises UnauthorizedError where there is no such session, or it has ended."""
    return session_sheet(*await _session(office, session))


def session_sheet(stored: StoredSession, person: StoredPerson, role: RoleSheet) -> SessionSheet:
    """Return a session of a person with a role, without its id."""
    return SessionSheet(
        csrf=stored.csrf,
        name=person.name,
        role=role.name,
        account=person.account,
        permissions=tuple(each for each in Permission if each in role.permissions),
        ends=iso_utc(stored.ends_at),
        wants_totp=_lacks_totp(stored, person, role),
        has_password=person.password is not None,
        has_totp=person.totp is not None,
    )


def _lacks_totp(stored: StoredSession, person: StoredPerson, role: RoleSheet) -> bool:
    return role.wants_totp and person.totp is None and not stored.by_provider


async def _session(office: Office, session: str) -> tuple[StoredSession, StoredPerson, RoleSheet]:
    people, now, digest = office.stores.people, office.now(), digest_of(session)
    found = await people.session(digest)
    if found is None:
        raise UnauthorizedError("there is no such session: log in")
    stored, person = found
    is_of_wrong_time = stored.used_at > now + USE_NOTED_MS  # the clock was put back: its end would come days too late
    is_idle = stored.used_at + IDLE_MS <= now
    if stored.ends_at <= now or is_idle or is_of_wrong_time or person.disabled_at is not None:
        await people.end_session(digest)
        raise UnauthorizedError("the session has ended: log in again")
    try:
        return stored, person, await role_named(office, person.role)
    except NoSuchRoleError as error:
        raise UnauthorizedError(f"the role {person.role} of {person.name} is gone") from error


async def log_out(office: Office, session: str) -> None:
    """End a session."""
    await office.stores.people.end_session(digest_of(session))


class LogOutEverywhere(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The end of all sessions of the person who is logged in."""


async def log_out_everywhere(office: Office, person: Principal) -> None:
    """End all sessions of a person."""
    own = await _own(office, person)
    line = office.audit_line(person, LogOutEverywhere(), person.login)
    await office.stores.people.change(own, own, line, ends_sessions=True)


class BegunTotp(msgspec.Struct, frozen=True):
    """The secret of a second factor, which holds when a code of it has confirmed it."""

    secret: str
    """Secret of the second factor in base 32, which is shown this once."""
    uri: str
    """The secret as ``otpauth://`` for a QR code."""


class BeginTotp(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new second factor of the person who is logged in; the present one stays until it is confirmed."""

    password: str = ""
    """Needed, as ``code`` is, where there is a second factor already: else who has the session could change it."""
    code: str = ""
    """Code of the present second factor, where there is one."""


class ConfirmTotp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A code of the new second factor."""

    code: str
    """Code that the new second factor shows now."""


class RecoveryCodes(msgspec.Struct, frozen=True):
    """Codes that each replace one of the second factor, once; they are shown this once."""

    codes: list[str]
    """Codes that each stand in for the second factor once; they are shown this once."""


class ConfirmedTotp(NamedTuple):
    """A second factor that is in force."""

    codes: RecoveryCodes
    session: str
    """The id of the session from now on, for the cookie alone."""


async def confirm_totp(office: Office, person: Principal, order: ConfirmTotp, session: str) -> ConfirmedTotp:
    """Put the new second factor in force, and end all sessions: this one goes on under another id.

    Raises:
        LogInRefusedError: the code is wrong, or no second factor was begun.
    """
    before, codes = await _own(office, person), recovery_codes()
    state_dir = office.definitions.settings.state_dir
    secret = None if before.totp_begun is None else opened(before.totp_begun, state_dir)
    step = None if secret is None else step_of(secret, order.code, office.now(), None)
    if step is None:
        if secret is None and _is_code_used(office, before, order.code):
            raise LogInRefusedError("the second factor is in force already: begin again for other recovery codes")
        raise LogInRefusedError("the code is wrong: look at the clock of the telephone, or begin again")
    after = msgspec.structs.replace(
        before,
        totp=before.totp_begun,
        totp_begun=None,
        totp_step=step,
        recovery=tuple(digest_of_recovery(each) for each in codes),
    )
    line = office.audit_line(person, ConfirmTotp(HIDDEN), person.login)
    return ConfirmedTotp(RecoveryCodes(codes), await _change_and_renew(office, before, after, line, session))


def _with_code_used(office: Office, person: StoredPerson, code: str) -> StoredPerson | None:
    """Return a person after the use of a code; None where it is wrong."""
    assert person.totp is not None
    digest = digest_of_recovery(code)
    if digest in person.recovery:  # without the key, which may be lost with the machine
        return msgspec.structs.replace(person, recovery=tuple(each for each in person.recovery if each != digest))
    secret = opened(person.totp, office.definitions.settings.state_dir)
    step = step_of(secret, code.replace(" ", ""), office.now(), person.totp_step)
    return None if step is None else msgspec.structs.replace(person, totp_step=step)


def _is_code_used(office: Office, person: StoredPerson, code: str) -> bool:
    if person.totp is None:
        return False
    secret = opened(person.totp, office.definitions.settings.state_dir)
    return is_used(secret, code.replace(" ", ""), office.now(), person.totp_step)


async def _own(office: Office, who: Principal) -> StoredPerson:
    person = await office.stores.people.find(who.login) if who.means is Means.PAGE else None
    if person is None:
        raise UnauthorizedError("this is for people who have logged in")
    return person


async def _change(
    office: Office, before: StoredPerson, after: StoredPerson, line: AuditLine, *, opens: StoredSession | None = None
) -> None:
    """Write a change; ``opens``: all sessions end, and this one begins."""
    if not await office.stores.people.change(before, after, line, ends_sessions=opens is not None, opens=opens):
        raise ChangedMeanwhileError(f"person {before.name} was changed at the same time: do the same again")


async def _change_and_renew(
    office: Office, before: StoredPerson, after: StoredPerson, line: AuditLine, session: str
) -> str:
    """Write a change of what a person may do or proves, and return the new id of the session in which it does so.

    An id that others may have seen while it allowed less does not come to allow more.
    """
    stored, _, _ = await _session(office, session)
    renewed = secrets.token_urlsafe(_SECRET_BYTES)
    await _change(office, before, after, line, opens=msgspec.structs.replace(stored, digest=digest_of(renewed)))
    return renewed


def _principal(person: StoredPerson, role: RoleSheet, source: str) -> Principal:
    return Principal(
        role=_ROLE_OF[role.acts_for],
        name=person.name,
        login=person.name,
        means=Means.PAGE,
        permissions=role.permissions,
        source=source,
        account=person.account,
    )
