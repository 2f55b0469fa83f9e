"""Files that ``invoices``, ``api`` and ``access`` name: found beside the file that names them.

Those that are shown are checked to be there, and those of TLS to the database to be usable.
"""

from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from vosd.catalogue.problems import ProblemList
from vosd.config.keys.installation import InstallationKeys
from vosd.config.reader.document import Section
from vosd.config.reader.includes import read_bytes
from vosd.storage.encryption import EncryptionUnusable, context_of

_SECTION: Final = "invoices"
_FILES: Final = ("template_file", "labels_file", "logo_file")
_BYTES_MAX: Final = 1 << 20
_LOGO: Final = "api.brand.logo_file"
_LOGO_KINDS: Final = frozenset({".png", ".jpg", ".jpeg", ".webp", ".svg"})
_LOGO_BYTES_MAX: Final = 1 << 18


def with_shown_files(keys: InstallationKeys, document: Section, problems: ProblemList) -> InstallationKeys:
    """Return the keys with the whole paths of the files; those of invoices and the console are reported if need be."""
    _check_encryption(keys, document, problems)
    keys = _with_logo(_with_invoice_files(keys, document, problems), document, problems)
    return _with_countries(_with_api_certificate(keys, document), document)


def _check_encryption(keys: InstallationKeys, document: Section, problems: ProblemList) -> None:
    """Report the parameters of the databases' URLs by which no connection can be encrypted."""
    for key, url in (("url", keys.database.url), ("replica", keys.database.replica)):
        if url is None or "ssl_" not in url.reveal():
            continue
        try:
            context_of(dict(parse_qsl(urlsplit(url.reveal()).query, keep_blank_values=True)))
        except EncryptionUnusable as error:
            flaw = str(error).removeprefix("database.url: ")
            place = _section(document, "database").place_of(key)
            problems.error(place, f"database.{key}", f"usable parameters of TLS: {flaw}")


def _with_countries(keys: InstallationKeys, document: Section) -> InstallationKeys:
    """Return the keys with the whole path of the file that has the countries of addresses."""
    if keys.access.database is None:
        return keys
    path = Path(_section(document, "access").place_of("database").file).absolute().parent / keys.access.database
    return keys.model_copy(update={"access": keys.access.model_copy(update={"database": path})})


def _with_api_certificate(keys: InstallationKeys, document: Section) -> InstallationKeys:
    """Return the keys with the whole paths of the certificate of the API and of its key."""
    tls = keys.api.tls
    if tls.certificate is None or tls.key is None:
        return keys
    section = _section(document, "api", "tls")
    found = {
        name: Path(section.place_of(name).file).absolute().parent / path
        for name, path in (("certificate", tls.certificate), ("key", tls.key))
    }
    return keys.model_copy(update={"api": keys.api.model_copy(update={"tls": tls.model_copy(update=found)})})


def _with_invoice_files(keys: InstallationKeys, document: Section, problems: ProblemList) -> InstallationKeys:
    """Return the keys with the whole paths of the files; one that cannot be read is reported."""
    entry = document.entries.get(_SECTION)
    if entry is None or not isinstance(entry.node, Section):
        return keys
    found: dict[str, Path] = {}
    for key in _FILES:
        path = getattr(keys.invoices, key)
        if path is None:
            continue
        place = entry.node.place_of(key)
        found[key] = Path(place.file).absolute().parent / path
        read_bytes(found[key], place, f"{_SECTION}.{key}", problems, _BYTES_MAX)
    return keys.model_copy(update={_SECTION: keys.invoices.model_copy(update=found)}) if found else keys


def _with_logo(keys: InstallationKeys, document: Section, problems: ProblemList) -> InstallationKeys:
    """Return the keys with the whole path of the console's logo; one that cannot be read or shown is reported."""
    logo = keys.api.brand.logo_file
    if logo is None:
        return keys
    place = _section(document, "api", "brand").place_of("logo_file")
    path = Path(place.file).absolute().parent / logo
    if path.suffix.lower() not in _LOGO_KINDS:
        problems.error(place, _LOGO, "a file whose name ends in .png, .jpg, .webp or .svg")
    read_bytes(path, place, _LOGO, problems, _LOGO_BYTES_MAX)
    branded = keys.api.brand.model_copy(update={"logo_file": path})
    return keys.model_copy(update={"api": keys.api.model_copy(update={"brand": branded})})


def _section(document: Section, *names: str) -> Section:
    """Return the section that is reached by the names."""
    for name in names:
        node = document.entries[name].node
        assert isinstance(node, Section)
        document = node
    return document
