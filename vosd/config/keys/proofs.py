"""How objects prove who they are: the keys, the files that hold passwords, and what is kept of them.

A password becomes a hash for our realm while the configuration is read, one for each algorithm that we challenge
with, and is not kept (RFC 7616 section 5.12). Nothing of it gets into a message.
"""

import re
import stat
from pathlib import Path
from typing import Annotated, Final

from pydantic import model_validator

from vosd.base.credentials import Credentials
from vosd.base.host import domain as domain_name
from vosd.base.host import is_address
from vosd.base.secret import Secret
from vosd.config.assembly.inventory import place_of
from vosd.config.keys.model import Keys
from vosd.config.reader.document import Section
from vosd.config.reader.fields import FromText, KeyProblemError, line_of_text
from vosd.config.reader.files import file_path
from vosd.config.reader.includes import read_text
from vosd.config.reader.problems import ProblemList
from vosd.sip.digest.hashing import Algorithm, ha1_of
from vosd.sip.digest.settings import DigestSettings

PASSWORD_FILE_BYTES_MAX: Final = 1_024
_HEXADECIMAL: Final = re.compile(r"[0-9a-f]+\Z", re.ASCII)
_READY: Final = {Algorithm.MD5: "ha1_md5", Algorithm.SHA_256: "ha1_sha256"}
_DIGITS: Final = {Algorithm.MD5: 32, Algorithm.SHA_256: 64}


def password_text() -> FromText:
    """Read a password."""

    def read(text: str) -> Secret:
        if not 1 <= len(text) <= PASSWORD_FILE_BYTES_MAX or not text.isprintable():
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

    def read(text: str) -> str:
        if is_address(text):
            return text
        name = domain_name(text)
        if name is None:
            raise ValueError
        return name

    return FromText("a domain or an IP address, without port", read)


class ProofKeys(Keys):
    """What somebody must prove who comes to us: a user name, and a password in one of three forms."""

    username: Annotated[str, line_of_text(1, 128)] = ""
    """Unique among all that register or are challenged."""
    password: Annotated[Secret | None, password_text()] = None
    """Kept as its hash only."""
    password_file: Annotated[Path | None, file_path()] = None
    """Instead of ``password``: a file with nothing else, relative to the file that names it."""
    ha1_md5: Annotated[Secret | None, ha1_text(Algorithm.MD5)] = None
    """Instead of ``password``: its hash for ``domain``, else ``sip.realm``, if that is challenged with MD5."""
    ha1_sha256: Annotated[Secret | None, ha1_text(Algorithm.SHA_256)] = None
    """Instead of ``password``: its hash for ``domain``, else ``sip.realm``, if that is challenged with SHA-256."""
    domain: Annotated[str, sip_domain()] = ""
    """The domain that it registers and calls under, and the realm that it is challenged with; in each domain user
    names are its own. Default: any domain, and ``sip.realm``.
    """

    @property
    def is_given(self) -> bool:
        """Whether there is anything to prove."""
        return bool(self.username or self.password or self.password_file or self.ha1_md5 or self.ha1_sha256)

    @model_validator(mode="after")
    def _has_one_form(self) -> "ProofKeys":
        is_hashed = bool(self.ha1_md5 or self.ha1_sha256)
        forms = bool(self.password) + bool(self.password_file) + is_hashed
        if self.is_given and forms != 1:
            raise KeyProblemError("password", "exactly one of password, password_file and ha1_md5 or ha1_sha256")
        return self


class AuthKeys(ProofKeys):
    """What a trunk must prove, if more than its address."""

    @model_validator(mode="after")
    def _has_a_name(self) -> "AuthKeys":
        if (self.is_given or self.domain) and not self.username:
            raise KeyProblemError("username", "the user name beside the password or the domain")
        return self


class DynamicKeys(AuthKeys):
    """It registers with us, proves this, and is called where it is registered. Default: it does not register."""


def read_credentials(
    keys: ProofKeys, username: str, section: Section, label: str, digest: DigestSettings, problems: ProblemList
) -> Credentials | None:
    """Return what stands for the password in our realm; None where a problem was noted.

    ``section`` is the mapping that the keys stand in, and ``label`` what messages call it.
    """
    # The domain that is the realm of the switch is no domain apart: those without a domain are in it, too.
    domain = "" if keys.domain == digest.realm.lower() else keys.domain
    realm = domain or digest.realm
    ready = {Algorithm.MD5: keys.ha1_md5, Algorithm.SHA_256: keys.ha1_sha256}
    if any(ready.values()):
        for algorithm in digest.algorithms:
            if ready[algorithm] is None:
                name = _READY[algorithm]
                expected = f"this key beside the other hash: sip.digest.algorithms has {algorithm.value}"
                problems.error(section.place, f"{label}.{name}", expected)
                return None
        hashes = {name.value: secret.reveal() for name, secret in ready.items() if secret}
        return Credentials(username, hashes, realm, domain)
    secret = keys.password or read_password(keys.password_file, section, label, problems)
    if secret is None:
        return None
    hashes = {algorithm.value: ha1_of(algorithm, username, realm, secret.reveal()) for algorithm in digest.algorithms}
    return Credentials(username, hashes, realm, domain)


def read_password(path: Path | None, section: Section, label: str, problems: ProblemList) -> Secret | None:
    """Return what the file of a ``password_file`` holds; None where a problem was noted, or there is no file."""
    if path is None:
        return None
    place, key = place_of(section, "password_file"), f"{label}.password_file"
    file = Path(place.file).parent / path
    text = read_text(file, place, key, problems, PASSWORD_FILE_BYTES_MAX)
    if text is None:
        return None
    if file.stat().st_mode & stat.S_IROTH:
        problems.warning(place, key, f"a file that others cannot read: chmod o-r {file}")
    written = text.rstrip("\r\n")
    if not written or not written.isprintable():
        problems.error(place, key, "one line with the password in the file")
        return None
    return Secret(written)
