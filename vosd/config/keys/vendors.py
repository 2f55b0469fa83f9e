"""``auth``, ``register`` and ``options_ping`` of routing gateways: our login, our registration, monitoring."""

from pathlib import Path
from typing import Annotated

from vosd.base.secret import Secret
from vosd.config.keys.proofs import password_text, sip_domain
from vosd.config.reader.addresses import destination
from vosd.config.reader.fields import KeyProblemError, Keys, line_of_text, milliseconds, whole
from vosd.config.reader.files import file_path
from vosd.trunks.gateways import Address, Ping


class LoginKeys(Keys):
    """Our login with the vendor, which answers its challenges (401, 407). Default: challenges count as refusals."""

    username: Annotated[str, line_of_text(1, 128)] = ""
    """Our user name with the vendor."""
    password: Annotated[Secret | None, password_text()] = None
    """The password; it is never sent, only a hash made of it."""
    password_file: Annotated[Path | None, file_path()] = None
    """Instead of ``password``: a file with the password alone, relative to the file that names it."""

    @property
    def is_given(self) -> bool:
        """Whether there is a login."""
        return bool(self.username)

    def _judge(self) -> None:
        if (self.password or self.password_file) and not self.username:
            raise KeyProblemError("username", "a user name with the password")
        if self.username and (self.password is None) is (self.password_file is None):
            raise KeyProblemError("password", "either password or password_file")


class RegisterKeys(Keys):
    """Our registration with the vendor; the gateway takes calls only while we are registered. Default: none."""

    server: Annotated[Address | None, destination()] = None
    """Address to which REGISTER is sent, written like an ``address``."""
    username: Annotated[str, line_of_text(1, 128)] = ""
    """The user that is registered. Default: that of ``auth``."""
    password: Annotated[Secret | None, password_text()] = None
    """Default: challenges to REGISTER are answered with user name and password of ``auth``."""
    password_file: Annotated[Path | None, file_path()] = None
    """Instead of ``password``: a file with the password alone, relative to the file that names it."""
    domain: Annotated[str, sip_domain()] = ""
    """Domain of the registered address, ``username@domain``. Default: the host of ``server``."""
    contact_user: Annotated[str, line_of_text(1, 128)] = ""
    """User part of our Contact, which the vendor calls. Default: ``username``."""
    expires: Annotated[int, whole(10, 604_800, "seconds")] = 3_600
    """Requested expiry; the vendor may grant less. The registration is refreshed after 80 % of what was granted, in
    good time for a repetition where that is brief."""

    @property
    def is_given(self) -> bool:
        """Whether there is a registration."""
        return self.server is not None

    @property
    def has_password(self) -> bool:
        """Whether the registration has a password of its own."""
        return self.password is not None or self.password_file is not None

    def _judge(self) -> None:
        if self.server is None and self.model_fields_set:
            raise KeyProblemError("server", "where REGISTER is sent")
        if self.password is not None and self.password_file is not None:
            raise KeyProblemError("password", "either password or password_file")


class PingKeys(Keys):
    """Monitoring with OPTIONS: the gateway takes calls only while it answers. Default: not monitored."""

    interval: Annotated[int | None, milliseconds(1_000, 3_600_000)] = None
    """From one OPTIONS to the next. Each gateway begins at a random moment of its interval."""
    timeout: Annotated[int, milliseconds(100, 60_000)] = 4_000
    """An OPTIONS has failed without an answer within this time, or with 408, 502, 503 or 504. Any other answer shows
    that the gateway is up, and so does such an answer to a call.
    """
    down_after: Annotated[int, whole(1, 100)] = 3
    """Failures in a row after which it counts as down."""
    up_after: Annotated[int, whole(1, 100)] = 2
    """Answers in a row after which it counts as up again."""

    def _judge(self) -> None:
        if self.interval is None and self.model_fields_set:
            raise KeyProblemError("interval", "how often OPTIONS is sent")
        if self.interval is not None and self.timeout > self.interval:
            raise KeyProblemError("timeout", "no longer than interval")

    def ping(self) -> Ping | None:
        """Return the intervals and thresholds; None = not monitored."""
        if self.interval is None:
            return None
        return Ping(self.interval, self.timeout, self.down_after, self.up_after)
