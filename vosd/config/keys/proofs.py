"""Credentials of phones and of trunks that register or are challenged: the keys.

A password is kept as hashes for our realm only (RFC 7616 section 5.12), which ``assembly/credentials.py`` makes.
"""

import re
from pathlib import Path
from typing import Annotated, Final

from vosd.base.secret import Secret
from vosd.config.reader.addresses import host_as_written
from vosd.config.reader.fields import FromText, KeyProblemError, Keys, line_of_text
from vosd.config.reader.files import file_path
from vosd.sip.digest.hashing import Algorithm

PASSWORD_BYTES_MAX: Final = 1_024
_HEXADECIMAL: Final = re.compile(r"[0-9a-f]+\Z", re.ASCII)
_DIGITS: Final = {Algorithm.MD5: 32, Algorithm.SHA_256: 64}


def password_text() -> FromText:
    """Read a password."""

    def read(text: str) -> Secret:
        if not 1 <= len(text) <= PASSWORD_BYTES_MAX or not text.isprintable():
            raise ValueError
        return Secret(text)

    return FromText("printable characters; best as ${NAME} of an environment variable", read, Secret.reveal)


def ha1_text(algorithm: Algorithm) -> FromText:
    """Read the hash of ``username:realm:password``."""
    digits = _DIGITS[algorithm]

    def read(text: str) -> Secret:
        if len(text) != digits or not _HEXADECIMAL.match(text.lower()):
            raise ValueError
        return Secret(text.lower())

    return FromText(f"{digits} hexadecimal digits: the {algorithm.value} of username:realm:password", read)


def sip_domain() -> FromText:
    """Read the domain of an address of record: a name or an IP address, without port."""
    return FromText("a domain or an IP address, without port", host_as_written)


class ProofKeys(Keys):
    """Credentials that are checked: a user name, and a password in one of three forms."""

    username: Annotated[str, line_of_text(1, 128)] = ""
    """Unique among all that register or are challenged."""
    password: Annotated[Secret | None, password_text()] = None
    """Only its hash is kept."""
    password_file: Annotated[Path | None, file_path()] = None
    """Instead of ``password``: a file with the password alone, relative to the file that names it."""
    ha1_md5: Annotated[Secret | None, ha1_text(Algorithm.MD5)] = None
    """Instead of ``password``: its hash for the realm (``domain``, else ``sip.realm``), for challenges with MD5."""
    ha1_sha256: Annotated[Secret | None, ha1_text(Algorithm.SHA_256)] = None
    """Instead of ``password``: its hash for the realm (``domain``, else ``sip.realm``), for challenges with SHA-256."""
    domain: Annotated[str, sip_domain()] = ""
    """Domain in which it registers and calls, and realm of its challenges; the same user name may exist in several
    domains. Default: any domain, and ``sip.realm``.
    """

    @property
    def is_given(self) -> bool:
        """Whether there are credentials."""
        return bool(self.username or self.password or self.password_file or self.ha1_md5 or self.ha1_sha256)

    def _judge(self) -> None:
        is_hashed = bool(self.ha1_md5 or self.ha1_sha256)
        forms = bool(self.password) + bool(self.password_file) + is_hashed
        if forms > 1:
            raise KeyProblemError("password", "exactly one of password, password_file and ha1_md5 or ha1_sha256")


class AuthKeys(ProofKeys):
    """Credentials that the trunk must prove besides its address. Default: none."""

    def _judge(self) -> None:
        super()._judge()
        if (self.is_given or self.domain) and not self.username:
            raise KeyProblemError("username", "a user name with the password or the domain")


class DynamicKeys(AuthKeys):
    """The vendor registers with us by these credentials, and is called at its contact. Default: it does not."""
