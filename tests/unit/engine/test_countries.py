"""Countries of addresses by a file that changes, is damaged, and comes back."""

from pathlib import Path

import pytest
from doubles.countries import write_countries
from structlog.testing import capture_logs

from vosd.engine.peers import countries as engine_countries
from vosd.engine.peers.countries import Countries, CountryFileError, read_countries


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "countries.mmdb"
    write_countries(path)
    return path


def test_addresses_of_both_families_have_their_country(file):
    countries = {
        "5.9.0.1": "DE", "8.8.8.8": "US", "2a00::1": "DE", "::ffff:8.8.8.8": "US", "10.0.0.1": "", "fe80::1%eth0": "",
    }  # fmt: skip
    country_of = read_countries(file)
    assert {host: country_of(host) for host in countries} == countries


def test_a_forged_flood_of_addresses_takes_bounded_memory(file, monkeypatch):
    monkeypatch.setattr(engine_countries, "REMEMBERED_MAX", 4)
    country_of = read_countries(file)
    assert {country_of(f"5.0.0.{number}") for number in range(20)} == {"DE"}


@pytest.mark.parametrize("content", [b"", b"no database", b"\xab\xcd\xefMaxMind.com" + b"\0" * 40])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "other.mmdb"
    path.write_bytes(content)
    with pytest.raises(CountryFileError, match="in the format of MaxMind"):
        read_countries(path)
    with pytest.raises(CountryFileError, match="that can be read"):
        read_countries(tmp_path / "missing.mmdb")


async def test_a_changed_file_is_read_again_and_a_bad_one_changes_nothing(file):
    countries = Countries()
    assert countries.of("5.9.0.1") == ""
    await countries.adjust(file)
    assert countries.of("5.9.0.1") == "DE"
    with capture_logs() as logs:
        file.write_bytes(b"damaged")
        for _ in range(2):
            await countries.look()
        file.unlink()
        await countries.look()
        assert countries.of("5.9.0.1") == "DE"
        write_countries(file, {"5.0.0.0/8": "AT"})
        await countries.look()
        assert countries.of("5.9.0.1") == "AT"
    assert [line["event"] for line in logs] == ["countries_unreadable", "countries_read"]
    await countries.adjust(None)
    assert countries.of("5.9.0.1") == ""
    await countries.look()


@pytest.mark.parametrize("has_another", [False, True])
async def test_a_file_that_cannot_be_read_and_is_used_no_more(file, tmp_path, has_another):
    countries, another = Countries(), tmp_path / "another.mmdb"
    write_countries(another, {"5.0.0.0/8": "AT"})
    await countries.adjust(file)
    file.write_bytes(b"damaged")
    with capture_logs() as logs:
        await countries.look()
        await countries.adjust(another if has_another else None)
    assert [(line["event"], line["file"]) for line in logs] == [
        ("countries_unreadable", str(file)), ("countries_read", str(file)),
    ]  # fmt: skip
    assert countries.of("5.9.0.1") == ("AT" if has_another else "")
