"""The last good catalogue on disk."""

import hashlib
import os
import stat
import time

import pytest

from vosd.catalogue.decks import DeckVersion
from vosd.config import kept
from vosd.config.kept import DamagedDeckError, KeptCatalogue, KeptManifest
from vosd.config.load import load
from vosd.config.stored import Stored, nothing_stored

ROWS = b"prefix,billing_rate\n44,0.012\n"
DECK = DeckVersion("acme", 1, hashlib.sha256(ROWS).hexdigest(), 1)


@pytest.fixture
def catalogue(site):
    return KeptCatalogue(site.directory / "var")


async def parts(*content):
    for part in content:
        yield part


def keep(catalogue, loaded, stored=None):
    catalogue.keep(stored or loaded.stored, loaded.texts)


def test_a_configuration_is_read_from_what_was_kept_of_it(site, catalogue):
    site.write("a/one.yaml", "accounts: [{id: one}]\n")
    site.write("a/two.yaml", "accounts: [{id: two}]\n")
    before = site.load("include: a/*.yaml\naccounts: [{id: acme}]\n")
    keep(catalogue, before)
    site.write("vosd.yaml", "include: a/*.yaml\n")
    site.write("a/three.yaml", "accounts: [{id: three}]\n")
    (site.directory / "a/one.yaml").unlink()
    texts = catalogue.texts(catalogue.manifest())
    again = load(site.directory / "vosd.yaml", {}, texts=texts)
    assert again.catalogue.version == before.catalogue.version
    assert again.texts == before.texts
    assert [*site.load().catalogue.accounts] == ["three", "two"]


def test_only_the_owner_can_read_what_is_kept(site, catalogue):
    keep(catalogue, site.load("node: a"))
    directory = site.directory / "var" / kept.DIRECTORY
    modes = {stat.filemode(path.stat().st_mode) for path in (directory, *directory.iterdir())}
    assert modes == {"drwx------", "-rw-------"}


def test_what_is_not_needed_any_more_is_removed_after_an_hour(site, catalogue):
    keep(catalogue, site.load("node: a"))
    directory = site.directory / "var" / kept.DIRECTORY
    (old,) = [path for path in directory.iterdir() if path.suffix == ""]
    keep(catalogue, site.load("node: b"))
    assert old.exists()
    long_ago = time.time() - 2 * kept.UNUSED_S  # noqa: TID251 - compared with times of the file system
    os.utime(old, (long_ago, long_ago))
    keep(catalogue, site.load("node: b"))
    assert not old.exists()
    assert len([*directory.iterdir()]) == 2


def test_a_damaged_or_missing_manifest_is_none(site, catalogue):
    assert catalogue.manifest() == KeptManifest()
    keep(catalogue, site.load("node: a"))
    assert catalogue.manifest() != KeptManifest()
    (site.directory / "var" / kept.DIRECTORY / "catalogue.json").write_text("{")
    assert catalogue.manifest() == KeptManifest()


async def test_the_rows_of_a_deck_are_fetched_once(site, catalogue):
    await catalogue.fetch(DECK, parts(ROWS[:7], ROWS[7:]))
    await catalogue.fetch(DECK, parts(b"not asked for"))
    path = catalogue.path_of(DECK.digest)
    assert path is not None
    assert path.read_bytes() == ROWS
    found = catalogue.stored(KeptManifest(4, (DECK,)), ["acme", "other"])
    assert (found.version, found.decks, found.files) == (4, (DECK,), {"acme": path})
    assert catalogue.stored(KeptManifest(4, (DECK,)), []).files == {}


async def test_damaged_rows_leave_nothing(site, catalogue):
    with pytest.raises(DamagedDeckError, match=r"deck acme \(version 1\)"):
        await catalogue.fetch(DECK, parts(ROWS[:7]))
    assert [*(site.directory / "var" / kept.DIRECTORY).iterdir()] == []


async def test_a_file_is_on_the_disk_before_it_has_its_name(site, catalogue, monkeypatch):
    synced = {}

    def fsync(descriptor):
        found = os.fstat(descriptor)
        synced[found.st_ino] = found.st_size

    monkeypatch.setattr(os, "fsync", fsync)
    await catalogue.fetch(DECK, parts(ROWS))
    keep(catalogue, site.load("node: a"), Stored(1, (DECK,)))
    found = [path.stat() for path in (site.directory / "var" / kept.DIRECTORY).iterdir()]
    assert synced == {each.st_ino: each.st_size for each in found}
    assert len(found) == 3  # the rows, the file of YAML, the manifest


def test_nothing_is_stored_without_a_database():
    assert nothing_stored(None) == Stored()


@pytest.mark.parametrize("damage", [b"/\xf6", b'/"', b"["], ids=["no text", "no JSON", "not closed"])
def test_a_damaged_manifest_is_as_none_and_is_written_again(site, catalogue, damage):
    loaded = site.load("node: a")
    keep(catalogue, loaded)
    path = site.directory / "var" / kept.DIRECTORY / "catalogue.json"
    whole = path.read_bytes()
    path.write_bytes(damage if damage == b"[" else whole.replace(b"/", damage, 1))
    assert catalogue.manifest() == KeptManifest()
    keep(catalogue, loaded)
    assert catalogue.manifest().files.keys() == loaded.texts.keys()
