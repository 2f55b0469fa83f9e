"""``stir``: signed calls (docs/stir.md), of the installation and of trunks."""

from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

from vosd.config.keys.dids import number_or_range
from vosd.config.keys.trunk_headers import few_digits
from vosd.config.reader.fields import ONE_OR_MANY, FromText, KeyProblemError, Keys, choice, milliseconds, switch, whole
from vosd.config.reader.files import file_path
from vosd.stir.terms import VerifyAction
from vosd.trunks.dids import Did, DidTable, OverlapError
from vosd.trunks.stir import CallerOrigin, TrunkVerification, VerstatHeader

_URL_MAX: Final = 512
_UNFIT: Final = frozenset('<>";, \\')


def https_url() -> FromText:
    """Read the address at which others fetch our certificate."""

    def read(text: str) -> str:
        url = urlsplit(text)
        is_whole = url.scheme == "https" and url.hostname and not url.username and not url.fragment
        if not is_whole or not text.isascii() or not text.isprintable() or not _UNFIT.isdisjoint(text):
            raise ValueError
        _ = url.port  # ValueError for one that is none
        if len(text) > _URL_MAX:
            raise ValueError
        return text

    return FromText("an https URL, such as https://certificates.example.com/shaken.pem", read)


class StirSignKeys(Keys):
    """Our key, by which calls are signed for vendors with ``stir.sign``. Default: none."""

    key: Annotated[Path | None, file_path()] = None
    """PEM, not encrypted: a private key of the curve P-256, relative to the file that names it. A reload reads it
    again."""
    certificate: Annotated[Path | None, file_path()] = None
    """PEM: the certificate of the key; checked to be that, and to last."""
    certificate_url: Annotated[str, https_url()] = ""
    """Address at which others fetch that certificate."""

    def _judge(self) -> None:
        if self.key is None and self.model_fields_set:
            raise KeyProblemError("key", "the private key")
        if self.key is not None and not self.certificate_url:
            raise KeyProblemError("certificate_url", "the address of the certificate of the key")


class StirVerifyKeys(Keys):
    """Rules for the signatures of callers on trunks with ``stir.verify``. Default: none is verified."""

    roots: Annotated[tuple[Annotated[Path, file_path()], ...], ONE_OR_MANY] = ()
    """PEM: certificates of the authorities that are trusted. A reload reads them again."""
    crl: Annotated[tuple[Annotated[Path, file_path()], ...], ONE_OR_MANY] = ()
    """Lists of revoked certificates, in PEM or DER. A reload reads them again."""
    action: Annotated[VerifyAction, choice(VerifyAction)] = VerifyAction.PASS
    """Treatment of calls of trunks that say no more than ``yes``: ``pass`` notes the result in the record, ``mark``
    also sends it to vendors with ``stir.verstat``, ``refuse`` refuses calls with a wrong signature with the code of
    RFC 8224."""
    require: Annotated[bool, switch()] = False
    """``yes``: with ``refuse``, calls without a signature are refused, too, with 428."""
    fail_open: Annotated[bool, switch()] = True
    """``no``: with ``refuse``, calls are refused with 436 while their certificate cannot be fetched."""
    freshness: Annotated[int, whole(1, 3_600, "seconds")] = 60
    """Longest time since a call was signed, and as long in the future."""
    replay_entries: Annotated[int, whole(0, 10_000_000)] = 50_000
    """Signatures that are remembered while they are fresh, so that none serves two calls, some 250 bytes each; 0 allows
    that."""
    timeout: Annotated[int, milliseconds(50, 3_000)] = 2_000
    """Time that a call waits for a certificate."""
    cache_entries: Annotated[int, whole(100, 100_000)] = 1_000
    """Certificates that are kept, some 4 kB each."""
    cache_ttl: Annotated[int, whole(10, 604_800, "seconds")] = 3_600
    """For how long a certificate is kept where its server does not say it, and at most."""
    allow_private: Annotated[bool, switch()] = False
    """``yes``: certificates are fetched from private addresses, too, and from any port; else from public ones and
    ports 443 and 8443."""

    @property
    def is_given(self) -> bool:
        """Whether signatures can be verified."""
        return bool(self.roots)

    def _judge(self) -> None:
        if not self.roots and self.model_fields_set:
            raise KeyProblemError("roots", "at least one file with certificates of authorities that are trusted")


class StirKeys(Keys):
    """Signed calls (STIR/SHAKEN, docs/stir.md). Default: none; Identity passes where nothing signed has changed.

    A reload changes all of it.
    """

    sign: StirSignKeys = StirSignKeys()
    verify: StirVerifyKeys = StirVerifyKeys()
    country: Annotated[str, few_digits()] = ""
    """Country code of national numbers. Default: all numbers have their country code."""
    national_prefix: Annotated[str, few_digits()] = "0"
    """In front of national numbers, where ``country`` is given."""
    national_digits: Annotated[int, whole(0, 15)] = 0
    """Digits of national numbers without a prefix, where ``country`` is given: 10 in North America. Longer ones are
    no national numbers with a prefix either."""
    international_prefix: Annotated[tuple[Annotated[str, few_digits()], ...], ONE_OR_MANY] = ("00",)
    """One or several prefixes in front of numbers with country code as dialled: ``011`` in North America."""

    def _judge(self) -> None:
        if not self.country and not self.model_fields_set.isdisjoint({"national_prefix", "national_digits"}):
            raise KeyProblemError("country", "the country code of national numbers")


class CallerStirKeys(Keys):
    """Signatures of its calls (docs/stir.md)."""

    verify: Annotated[TrunkVerification, choice(TrunkVerification)] = TrunkVerification.NO
    """Whether they are verified, by ``stir.verify``: ``no``, ``yes``, or ``pass``, ``mark``, ``refuse`` instead of
    its ``action``."""
    attest: Annotated[CallerOrigin, choice(CallerOrigin)] = CallerOrigin.GATEWAY
    """Attestation of its calls where they are signed: ``gateway`` C, ``customer`` B, and A for numbers that are
    its own: those of ``numbers``, and those that its account has in ``dids``."""
    numbers: Annotated[tuple[Annotated[str, number_or_range()], ...], ONE_OR_MANY] = ()
    """Numbers and ranges of its own, with country code, such as 12155551200-12155551299."""

    def _judge(self) -> None:
        if self.numbers and self.attest is CallerOrigin.GATEWAY:
            raise KeyProblemError("attest", "customer beside numbers: those of a gateway are not attested")
        try:
            DidTable(map(Did, self.numbers))
        except OverlapError as error:
            raise KeyProblemError("numbers", f"each number once: {error}") from error


class VendorStirKeys(Keys):
    """Signatures of the calls that it is sent (docs/stir.md)."""

    sign: Annotated[bool, switch()] = False
    """``yes``: calls are signed by ``stir.sign``, unless the caller's own signature passes."""
    verstat: Annotated[tuple[Annotated[VerstatHeader, choice(VerstatHeader)], ...], ONE_OR_MANY] = ()
    """Headers in which the calling number has the parameter ``verstat``, for calls of trunks with ``mark`` or
    ``refuse``. Default: none."""
    only_verified: Annotated[bool, switch()] = False
    """``yes``: it takes only calls whose caller's signature was verified (``TN-Validation-Passed``); others are tried
    at other gateways."""

    @property
    def is_given(self) -> bool:
        """Whether there is anything to do."""
        return self.sign or bool(self.verstat) or self.only_verified
