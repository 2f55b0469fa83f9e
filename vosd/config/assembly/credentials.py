"""Passwords: hashes of those that we check, and the logins with which we answer challenges of vendors.

A password that we check becomes a hash for our realm while the configuration is read, one for each algorithm of our
challenges, and is not kept (RFC 7616 section 5.12). Passwords appear in no message.
"""

import stat
from pathlib import Path
from typing import Any, Final, Protocol

from vosd.base.credentials import Credentials, Login
from vosd.base.passwords import LENGTH_MIN, weakness
from vosd.base.secret import Secret
from vosd.catalogue.problems import ProblemList, SourceLine
from vosd.catalogue.source import Definition
from vosd.config.assembly.named_first import named_first
from vosd.config.assembly.remembered import ReadItems
from vosd.config.keys.installation import InstallationKeys
from vosd.config.keys.proofs import PASSWORD_BYTES_MAX, ProofKeys
from vosd.config.keys.vendors import LoginKeys, RegisterKeys
from vosd.config.reader.document import Section
from vosd.config.reader.includes import read_text
from vosd.sip.digest.hashing import Algorithm, ha1_of
from vosd.sip.digest.settings import DigestSettings
from vosd.trunks.phone import Phone

_HASHED: Final = {Algorithm.MD5: "ha1_md5", Algorithm.SHA_256: "ha1_sha256"}


def read_credentials(
    keys: ProofKeys,
    username: str,
    section: Section,
    label: str,
    digest: DigestSettings,
    problems: ProblemList,
    *,
    is_remote: bool = False,
) -> Credentials | None:
    """Return the hashes of the password for its realm; None where a problem was reported.

    ``section`` is the mapping with the keys, and ``label`` what messages call it. ``is_remote``: servers of RADIUS
    judge the password, so there may be none.
    """
    # The domain that is the switch's own realm is no separate domain: users without a domain are in it, too.
    domain = "" if keys.domain == digest.realm.lower() else keys.domain
    realm = domain or digest.realm
    given = {Algorithm.MD5: keys.ha1_md5, Algorithm.SHA_256: keys.ha1_sha256}
    if any(given.values()):
        for algorithm in digest.algorithms:
            if given[algorithm] is None:
                name = _HASHED[algorithm]
                expected = f"this key besides the other hash: sip.digest.algorithms has {algorithm.value}"
                problems.error(section.place, f"{label}.{name}", expected)
                return None
        hashes = {name.value: secret.reveal() for name, secret in given.items() if secret}
        return Credentials(username, hashes, realm, domain, is_remote=is_remote)
    if keys.password is None and keys.password_file is None:
        if is_remote:
            return Credentials(username, {}, realm, domain, is_remote=True)
        problems.error(section.place, f"{label}.password", "one of password, password_file and ha1_md5 or ha1_sha256")
        return None
    secret = keys.password or read_password(keys.password_file, section, label, problems)
    if secret is None:
        return None
    hashes = {algorithm.value: ha1_of(algorithm, username, realm, secret.reveal()) for algorithm in digest.algorithms}
    is_weak = bool(weakness(secret.reveal(), [username]))
    return Credentials(username, hashes, realm, domain, is_weak=is_weak, is_remote=is_remote)


def _phone_is_weak(definition: Definition[Phone]) -> bool:
    return _is_weak(definition.value.gateway.credentials)


def _trunk_is_weak(definition: Definition[Any]) -> bool:
    """Return whether the password of a mapping or routing gateway is easy to guess."""
    return _is_weak(definition.value.credentials)


def _is_weak(credentials: Credentials | None) -> bool:
    return credentials is not None and credentials.is_weak


def warn_of_weak_passwords(items: ReadItems, problems: ProblemList) -> None:
    """Warn, once for all of them, of phones and trunks whose passwords are easy to guess."""
    found = named_first(
        [
            ("password", items.chosen("phones", _phone_is_weak)),
            ("auth", items.chosen("mapping_gateways", _trunk_is_weak)),
            ("dynamic", items.chosen("routing_gateways", _trunk_is_weak)),
        ]
    )
    if found is None:
        return
    expected = (
        f"{LENGTH_MIN} characters or more, no row of the keyboard, not the own name in a password: those of "
        f"{found.named}{found.others} are easy to guess, and calls are made with them at the cost of their accounts"
    )
    problems.warning(found.place, found.key, expected)


def read_login(
    username: str, keys: LoginKeys | RegisterKeys, section: Section, label: str, problems: ProblemList
) -> Login | None:
    """Return a login with its password read; None where a problem was reported."""
    secret = keys.password or read_password(keys.password_file, section, label, problems)
    return None if secret is None else Login(username, secret)


def read_password(path: Path | None, section: Section, label: str, problems: ProblemList) -> Secret | None:
    """Return the content of a ``password_file``; None where a problem was reported, or there is no file."""
    if path is None:
        return None
    return read_secret(path, section.place_of("password_file"), f"{label}.password_file", problems)


def read_secret(path: Path, place: SourceLine, key: str, problems: ProblemList) -> Secret | None:
    """Return the one line of a file, relative to the file of ``place`` that names it; None for a problem.

    A file that everyone on the machine can read gets a warning.
    """
    file = Path(place.file).parent / path
    found = ProblemList()
    text = read_text(file, place, key, found, PASSWORD_BYTES_MAX)
    if text is None:
        # A password may stand in the place of the name, so only the directory is said.
        for each in found.in_order():
            where = f"{each.expected}; a relative name is one in {file.parent.absolute()}"
            is_said = path.is_absolute() or each.value is not None
            problems.error(place, key, each.expected if is_said else where, each.value)
        return None
    if file.stat().st_mode & stat.S_IROTH:
        problems.warning(place, key, f"a file that others cannot read: chmod o-r {file}")
    written = text.rstrip("\r\n")
    if not written or not written.isprintable():
        problems.error(place, key, "one line with the password or secret in the file")
        return None
    return Secret(written)


class WrittenKeys(Protocol):
    """Places of the keys of the installation."""

    def place_of(self, key: str) -> SourceLine:
        """Return the place of a key."""


def with_mail_password(keys: InstallationKeys, document: Section) -> InstallationKeys:
    """Return the keys with the password of the mail server, if a file has it; a file that cannot be read is none."""
    mail, section = keys.alarms.mail, document
    for name in ("alarms", "mail"):
        entry = section.entries.get(name)
        if entry is None or not isinstance(entry.node, Section):
            return keys
        section = entry.node
    password = read_password(mail.password_file, section, "alarms.mail", ProblemList())
    alarms = keys.alarms.model_copy(update={"mail": mail.model_copy(update={"password": password or mail.password})})
    return keys.model_copy(update={"alarms": alarms})


def with_secrets(keys: InstallationKeys, written: WrittenKeys, problems: ProblemList) -> InstallationKeys:
    """Return the keys with each secret that a key names the file of; a file that cannot be read is reported."""

    def read(file: Path | None, key: str, item: str = "") -> Secret | None:
        return None if file is None else read_secret(file, written.place_of(f"{key}{item}"), key, problems)

    webhook, mail, reports = keys.alarms.webhook, keys.alarms.mail, keys.call_reports
    in_webhook = read(webhook.secret_file, "alarms.webhook.secret_file")
    in_mail = read(mail.password_file, "alarms.mail.password_file")
    password = in_mail or mail.password
    for key, text in (
        ("username", mail.username),
        ("password_file" if in_mail else "password", password.reveal() if password is not None else ""),
    ):
        if not text.isascii():  # smtplib sends no other one (RFC 4954 has no encoding for it)
            problems.error(written.place_of(f"alarms.mail.{key}"), f"alarms.mail.{key}", "ASCII characters only")
    in_reports = read(reports.secret_file, "call_reports.secret_file")
    alarms = keys.alarms.model_copy(
        update={
            "webhook": webhook.model_copy(update={"secret": in_webhook or webhook.secret}),
            "mail": mail.model_copy(update={"password": password}),
        }
    )
    reports = reports.model_copy(update={"secret": in_reports or reports.secret})
    in_servers = [
        read(each.secret_file, "radius.servers", f"[{number}]") for number, each in enumerate(keys.radius.servers)
    ]
    servers = tuple(
        each.model_copy(update={"secret": found or each.secret})
        for each, found in zip(keys.radius.servers, in_servers, strict=True)
    )
    radius = keys.radius.model_copy(update={"servers": servers})
    return keys.model_copy(update={"alarms": alarms, "call_reports": reports, "radius": radius})
