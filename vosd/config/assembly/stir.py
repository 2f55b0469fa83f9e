"""Signed calls: from keys, and the files that they name, to what calls and the engine need of them."""

import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from vosd.base.errors import VosError
from vosd.catalogue.problems import ProblemList
from vosd.catalogue.source import Origin
from vosd.config.assembly.certificate_ends import time_left
from vosd.config.assembly.conversion import Conversion, full_conversion, require_all_used
from vosd.config.assembly.inventory import Written
from vosd.config.keys.stir import CallerStirKeys, StirKeys, StirSignKeys, StirVerifyKeys, VendorStirKeys
from vosd.config.keys.trunks import MappingGatewayKeys, RoutingGatewayKeys
from vosd.config.reader.includes import read_bytes
from vosd.engine.settings import CertificateSettings
from vosd.stir.settings import StirTerms, TrustedFile
from vosd.stir.terms import Numbering, VerifyTerms
from vosd.trunks.dialect import IdentityHeader
from vosd.trunks.stir import CallerSignatures, TrunkVerification, VendorSignatures, VerstatHeader

if TYPE_CHECKING:
    from vosd.stir.signing import Signer

_BYTES_MAX: Final = 1 << 24

_NUMBERING: Final = Conversion(StirKeys, Numbering)
require_all_used(
    StirKeys,
    _NUMBERING,
    elsewhere={"sign": "the signer, which is made of its files", "verify": "the terms, and the settings of the engine"},
)
_FILES: Final = {"roots": "roots", "crl": "revocations"}
_TERMS: Final = Conversion(StirVerifyKeys, VerifyTerms)
_FETCH: Final = Conversion(StirVerifyKeys, CertificateSettings, by_hand=_FILES)
require_all_used(StirVerifyKeys, _TERMS, _FETCH)
_CALLER: Final = full_conversion(CallerStirKeys, CallerSignatures)
_VENDOR: Final = full_conversion(VendorStirKeys, VendorSignatures)

Made = TypeVar("Made")


class ReadStir(NamedTuple):
    """Content of ``stir`` and of its files."""

    terms: StirTerms | None = None
    certificates: CertificateSettings | None = None


def caller_signatures(
    written: Written[MappingGatewayKeys], installation: StirKeys, problems: ProblemList
) -> CallerSignatures | None:
    """Return what holds for the calls of a trunk; None where it says nothing."""
    keys = written.thing.stir
    if keys.verify is not TrunkVerification.NO and not installation.verify.is_given:
        section, label = written.inner("stir")
        problems.error(section.place_of("verify"), f"{label}.verify", "stir.verify of the installation, with roots")
    return _CALLER(keys) if keys.is_given else None


def vendor_signatures(
    written: Written[RoutingGatewayKeys], installation: StirKeys, problems: ProblemList
) -> VendorSignatures | None:
    """Return what holds for the calls to a trunk; None where there is nothing to do."""
    keys = written.thing.stir
    section, label = written.inner("stir")
    if keys.sign and installation.sign.key is None:
        problems.error(section.place_of("sign"), f"{label}.sign", "stir.sign of the installation, with a key")
    if VerstatHeader.ASSERTED in keys.verstat and IdentityHeader.ASSERTED not in written.thing.identity:
        expected = "identity with p-asserted-identity: without that header there is nothing to mark"
        problems.error(section.place_of("verstat"), f"{label}.verstat", expected)
    return _VENDOR(keys) if keys.is_given else None


def read_stir(keys: StirKeys, origin: Origin, now_ms: int, problems: ProblemList) -> ReadStir:
    """Read the files of ``stir``; one that is missing or unfit is reported."""
    if keys.sign.key is None and not keys.verify.is_given:
        return ReadStir()
    from vosd.stir.certificates import first_end, next_list, read_revoked, read_roots

    files = _Files(origin, problems)
    signer = None if keys.sign.key is None else _signer(keys.sign, files, now_ms)
    terms, certificates, trusted = None, None, list[TrustedFile]()
    if keys.verify.is_given:
        verify = keys.verify
        roots = [
            files.read("stir.verify.roots", each, lambda text: read_roots(_text(text)), f"[{number}]")
            for number, each in enumerate(verify.roots)
        ]
        lists = [
            files.read("stir.verify.crl", each, read_revoked, f"[{number}]") for number, each in enumerate(verify.crl)
        ]
        for key, paths, contents in (("roots", verify.roots, roots), ("crl", verify.crl, lists)):
            for path, found in zip(paths, contents, strict=True):
                is_list = key == "crl"
                end = None if found is None else next_list(found[0]) if is_list else first_end(_text(found[0]))
                if end is not None:
                    trusted.append(TrustedFile(str(path), end, is_list))
                    files.warn_of_end(f"stir.verify.{key}", trusted[-1], now_ms)
        terms, certificates = (
            _TERMS(keys.verify),
            _FETCH(
                verify,
                roots=tuple(_text(each[0]) for each in roots if each is not None),
                revocations=tuple(each[0] for each in lists if each is not None),
            ),
        )
    return ReadStir(StirTerms(signer, terms, _NUMBERING(keys), tuple(trusted)), certificates)


def _signer(keys: StirSignKeys, files: "_Files", now_ms: int) -> "Signer | None":
    if keys.key is None:
        return None
    from vosd.stir.signing import Signer, check_certificate

    found = files.read("stir.sign.key", keys.key, lambda content: Signer(_text(content), keys.certificate_url))
    if found is None:
        return None
    content, signer = found
    files.warn_of_readers(keys.key)
    if keys.certificate is None:
        return signer
    checked = files.read(
        "stir.sign.certificate", keys.certificate, lambda other: check_certificate(_text(content), _text(other))
    )
    if checked is None:
        return None
    left = time_left(checked[1], now_ms)
    if left:
        files.warn("stir.sign.certificate", f"a certificate that lasts: this one {left}")
    return Signer(_text(content), keys.certificate_url, checked[1])


def _text(content: bytes) -> str:
    """Return the text of a file in PEM, which is of ASCII."""
    return content.decode("latin-1")


class _Files:
    """Reads files that keys of ``stir`` name, and reports those that are unfit."""

    def __init__(self, origin: Origin, problems: ProblemList) -> None:
        self._origin = origin
        self._problems = problems

    def warn(self, key: str, expected: str) -> None:
        self._problems.warning(self._origin.place_of(key), key, expected)

    def read(self, key: str, path: Path, make: Callable[[bytes], Made], item: str = "") -> tuple[bytes, Made] | None:
        """Return the content of a file, relative to the file that names it, and what is made of it.

        ``item`` is its number in a list, such as ``[1]``.
        """
        place = self._origin.place_of(f"{key}{item}")
        content = read_bytes(Path(place.file).parent / path, place, key, self._problems, _BYTES_MAX)
        if content is None:
            return None
        try:
            return content, make(content)
        except VosError as error:
            self._problems.error(place, key, f"a fitting file: {error}", str(path))
            return None

    def warn_of_end(self, key: str, trusted: TrustedFile, now_ms: int) -> None:
        """Warn of roots that end soon, and of a list of revoked certificates after which another was to come."""
        left = time_left(trusted.ends_ms, now_ms)
        if left and not trusted.is_list:
            self.warn(key, f"certificates that last: one of {trusted.file} {left}")
        elif trusted.is_list and trusted.ends_ms < now_ms:
            self.warn(key, f"the latest list of revoked certificates: the time of {trusted.file} {left}")

    def warn_of_readers(self, path: Path) -> None:
        """Warn of a signing key that everyone on the machine can read."""
        key = "stir.sign.key"
        file = self._path(key, path)
        if file.stat().st_mode & stat.S_IROTH:
            self.warn(key, f"a file that others cannot read: chmod o-r {file}")

    def _path(self, key: str, path: Path) -> Path:
        return Path(self._origin.place_of(key).file).parent / path
