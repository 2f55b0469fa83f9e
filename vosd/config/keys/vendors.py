"""What a vendor wants beside calls: proof of who we are, a registration, and to be asked whether it is there."""

from pathlib import Path
from typing import Annotated

from pydantic import model_validator

from vosd.base.credentials import Login
from vosd.base.secret import Secret
from vosd.config.keys.model import Keys
from vosd.config.keys.proofs import password_text, read_password, sip_domain
from vosd.config.reader.addresses import destination
from vosd.config.reader.document import Section
from vosd.config.reader.fields import KeyProblemError, line_of_text, milliseconds, whole
from vosd.config.reader.files import file_path
from vosd.config.reader.problems import ProblemList
from vosd.trunks.gateways import Address, Ping, Registration


class LoginKeys(Keys):
    """What its challenges (401, 407) are answered with. Default: they count as refusals."""

    username: Annotated[str, line_of_text(1, 128)] = ""
    """As the vendor has it."""
    password: Annotated[Secret | None, password_text()] = None
    """The password; it leaves only as part of a hash."""
    password_file: Annotated[Path | None, file_path()] = None
    """Instead of ``password``: a file with nothing else, relative to the file that names it."""

    @property
    def is_given(self) -> bool:
        """Whether there is a login."""
        return bool(self.username)

    @model_validator(mode="after")
    def _is_whole(self) -> "LoginKeys":
        if (self.password or self.password_file) and not self.username:
            raise KeyProblemError("username", "the user name beside the password")
        if self.username and (self.password is None) is (self.password_file is None):
            raise KeyProblemError("password", "either password or password_file")
        return self


class RegisterKeys(Keys):
    """The vendor wants us to register: it takes calls only while we are. Default: it does not."""

    server: Annotated[Address | None, destination()] = None
    """Where REGISTER goes, written as an ``address``."""
    username: Annotated[str, line_of_text(1, 128)] = ""
    """The account that is registered. Default: that of ``auth``."""
    password: Annotated[Secret | None, password_text()] = None
    """Default: user name and password of ``auth`` are what is proven."""
    password_file: Annotated[Path | None, file_path()] = None
    """Instead of ``password``: a file with nothing else, relative to the file that names it."""
    domain: Annotated[str, sip_domain()] = ""
    """Of the address that is registered, ``username@domain``. Default: the host of ``server``."""
    contact_user: Annotated[str, line_of_text(1, 128)] = ""
    """The user part of our Contact, under which the vendor calls us. Default: ``username``."""
    expires: Annotated[int, whole(10, 604_800, "seconds")] = 3_600
    """What is asked for; the vendor may grant less, and it is refreshed at 80 % of that."""

    @property
    def is_given(self) -> bool:
        """Whether there is something to register."""
        return self.server is not None

    @property
    def has_password(self) -> bool:
        """Whether it has one of its own."""
        return self.password is not None or self.password_file is not None

    @model_validator(mode="after")
    def _is_whole(self) -> "RegisterKeys":
        if self.server is None and self.model_fields_set:
            raise KeyProblemError("server", "where REGISTER goes")
        if self.password is not None and self.password_file is not None:
            raise KeyProblemError("password", "either password or password_file")
        return self


class PingKeys(Keys):
    """It is asked with OPTIONS whether it is there, and takes calls only while it is. Default: it is not asked."""

    interval: Annotated[int | None, milliseconds(1_000, 3_600_000)] = None
    """From one question to the next. Each gateway begins at a random moment of its interval."""
    timeout: Annotated[int, milliseconds(100, 60_000)] = 4_000
    """Without an answer for so long it has failed, or with 408, 502, 503 or 504. Any other answer is a sign of life.

    So is such an answer to a call.
    """
    down_after: Annotated[int, whole(1, 100)] = 3
    """Failures in a row that take it down."""
    up_after: Annotated[int, whole(1, 100)] = 2
    """Answers in a row that bring it back."""

    @model_validator(mode="after")
    def _is_whole(self) -> "PingKeys":
        if self.interval is None and self.model_fields_set:
            raise KeyProblemError("interval", "how often it is asked")
        if self.interval is not None and self.timeout > self.interval:
            raise KeyProblemError("timeout", "no longer than interval")
        return self

    def ping(self) -> Ping | None:
        """Return how it is asked; None = not at all."""
        if self.interval is None:
            return None
        return Ping(self.interval, self.timeout, self.down_after, self.up_after)


def read_login(
    username: str, keys: LoginKeys | RegisterKeys, section: Section, label: str, problems: ProblemList
) -> Login | None:
    """Return a login with its password read; None where a problem was noted."""
    secret = keys.password or read_password(keys.password_file, section, label, problems)
    return None if secret is None else Login(username, secret)


def registration(keys: RegisterKeys, account: str, login: Login) -> Registration | None:
    """Return what is registered where; None = nothing."""
    if keys.server is None:
        return None
    user = keys.username or account
    return Registration(
        server=keys.server,
        domain=keys.domain or keys.server.host,
        user=user,
        contact_user=keys.contact_user or user,
        login=login,
        expires_s=keys.expires,
    )
