"""Countries of addresses, by a file in the format of MaxMind that is read again when it has changed.

The file is read whole, so that one that is written anew in its place cannot disturb a look-up.
"""

import asyncio
import struct
from pathlib import Path
from typing import Final

import maxminddb

from vosd.base.errors import VosError
from vosd.base.file_modes import may_wait
from vosd.base.networks import address_of
from vosd.obs.events import GONE, Event, log as _log
from vosd.routing.access import CountryOf, nowhere

LOOK_S: Final = 10.0
"""Interval at which the file is compared with the one that was read."""
REMEMBERED_MAX: Final = 16_384
"""Addresses whose country is kept; then all are forgotten. A look-up takes 10 µs."""

_DAMAGED: Final = (
    maxminddb.InvalidDatabaseError, IndexError, KeyError, RecursionError, TypeError, ValueError, struct.error,
)  # fmt: skip
"""Errors of the reader about a file that is damaged."""


class CountryFileError(VosError):
    """The file cannot be used; ``expected`` says what would be."""

    def __init__(self, path: Path, expected: str) -> None:
        super().__init__(f"{path}: expected {expected}")
        self.expected = expected


def read_countries(path: Path) -> CountryOf:
    """Read the file, and return the look-up.

    Raises:
        CountryFileError: it cannot be read, or is no file of countries.
    """
    try:
        if may_wait(path.stat().st_mode):
            raise CountryFileError(path, "a file that can be read: no pipe, socket or device")
        reader = maxminddb.open_database(path, maxminddb.MODE_MEMORY)
    except OSError as error:
        raise CountryFileError(path, f"a file that can be read ({error.strerror})") from None
    except _DAMAGED as error:
        raise CountryFileError(path, f"a file in the format of MaxMind, .mmdb ({error})") from None
    has_six = reader.metadata().ip_version == 6
    remembered: dict[str, str] = {}

    def country_of(host: str) -> str:
        country = remembered.get(host)
        if country is None:
            address = address_of(host)
            try:
                country = _country_in(reader.get(address)) if has_six or address.version == 4 else ""
            except _DAMAGED:
                country = ""
            if len(remembered) >= REMEMBERED_MAX:
                remembered.clear()
            remembered[host] = country
        return country

    return country_of


def _country_in(record: object) -> str:
    """Return the code in a record: of MaxMind and DB-IP ``country.iso_code``, of IPinfo ``country_code``."""
    if not isinstance(record, dict):
        return ""
    for name in ("country", "registered_country"):
        found = record.get(name)
        code = found.get("iso_code") if isinstance(found, dict) else found
        if isinstance(code, str) and len(code) == 2:
            return code
    code = record.get("country_code")
    return code if isinstance(code, str) else ""


class Countries:
    """Look-up of countries that follows its file."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._read: tuple[int, int, int] | None = None
        """Inode, size and time of change of the file that was looked at last."""
        self._failed = False
        self.country_of: CountryOf = nowhere

    def of(self, host: str) -> str:
        """Return the country of an address; empty if it is not known."""
        return self.country_of(host)

    async def adjust(self, path: Path | None) -> None:
        """Use another file, or none; the configuration has been checked with it."""
        if path != self._path:
            if self._failed:
                _log.info(Event.COUNTRIES_READ.value, file=str(self._path), why=GONE)
            self._path, self._read, self._failed = path, None, False
            if path is None:
                self.country_of = nowhere
        await self.look()

    async def look(self) -> None:
        """Read the file if it has changed; one that cannot be used leaves what is known."""
        path = self._path
        if path is None:
            return
        try:
            found = await asyncio.to_thread(path.stat)
            seen = found.st_ino, found.st_size, found.st_mtime_ns
            if seen == self._read:
                return
            country_of = await asyncio.to_thread(read_countries, path)
        except OSError as error:
            self._report(path, f"it cannot be read ({error.strerror})")
            return
        except CountryFileError as error:
            self._read = seen
            self._report(path, str(error))
            return
        self._read = seen
        if self._failed:
            self._failed = False
            _log.info(Event.COUNTRIES_READ.value, file=str(path))
        self.country_of = country_of

    async def run(self) -> None:
        """Look at the file again and again; runs until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            await self.look()

    def _report(self, path: Path, why: str) -> None:
        if not self._failed:
            self._failed = True
            _log.error(
                Event.COUNTRIES_UNREADABLE.value, file=str(path), why=why, means="the countries known before stay"
            )
