"""Files that have the countries of addresses, in the format of MaxMind, written by a library of other people."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Final

from mmdb_writer import MMDBWriter
from netaddr import IPSet

USUAL: Final[Mapping[str, str]] = MappingProxyType(
    {"203.0.113.0/24": "KP", "198.51.100.0/24": "FR", "8.8.0.0/16": "US", "5.0.0.0/8": "DE", "2a00::/12": "DE"}
)
"""Countries by network; the first two are networks for documentation, which count as private."""


def write_countries(path: Path, countries: Mapping[str, str] = USUAL) -> None:
    """Write a file with the countries of networks."""
    path.write_bytes(_written(tuple(countries.items())))


@lru_cache(maxsize=8)
def _written(countries: tuple[tuple[str, str], ...]) -> bytes:
    writer = MMDBWriter(6, "Test-Country", languages=["en"], ipv4_compatible=True)
    for network, code in countries:
        writer.insert_network(IPSet([network]), {"country": {"iso_code": code}})
    with TemporaryDirectory() as directory:
        path = Path(directory) / "countries.mmdb"
        writer.to_db_file(str(path))
        return path.read_bytes()
