"""``vosd cdr export`` where the database has lost commits, or the disk a file: no call is missed (ADR 71)."""

import errno

import msgspec
import pytest
from doubles.data.records import answered_call, call_id, refused_call
from doubles.export_site import Site

from vosd.admin import export_files


@pytest.fixture
def site(tmp_path, migrated) -> Site:
    return Site(tmp_path, migrated)


def calls(*indices: int):
    return [answered_call(index, customer_account="acme", vendor_account="carrier") for index in indices]


@pytest.mark.parametrize("wanted", ["customers: [acme]", "vendors: [carrier]", "answered_only: yes", "name: all"])
def test_a_database_that_was_restored_is_refused_also_where_the_last_numbers_were_of_no_interest(site, wanted):
    """What was not wanted, or is no call, has taken the numbers behind the last call in a file."""
    site.book(calls(1))
    earlier = site.database.read_bytes()
    if wanted == "name: all":
        site.tamper("UPDATE counter SET value = value + 12 WHERE name = 'commits'")  # as payments do
    else:
        site.book([of_no_interest(index) for index in range(11, 21)])
    assert [each["rows"] for each in site.export(profile=wanted)] == [1]
    site.go_back_to(earlier)
    site.book([of_no_interest(index) for index in range(11, 15)])
    site.book(calls(2, 3))
    site.book(calls(4, 5, 6, 7))  # the counter is ahead of where it was
    result = site.vosd("cdr", "export", "--out", str(site.out), "--profile", str(site.profile))
    assert (result.exit_code, "is another call's now" in result.output) == (1, True)
    assert len(site.files()) == 1


def of_no_interest(index: int):
    call = refused_call(index)
    return msgspec.structs.replace(call, customer_account="zenith", vendor_account="other")


def test_calls_that_got_other_numbers_after_a_loss_are_seen_between_the_witnesses(site):
    """Each booking takes a number more than it has calls: what comes before may move all calls by one number."""
    earlier = site.database.read_bytes()
    for index in (1, 2, 3):
        site.book(calls(index))
    site.export()
    site.go_back_to(earlier)
    site.tamper("UPDATE counter SET value = value + 1 WHERE name = 'commits'")
    for index in (4, 5, 6):
        site.book(calls(index))
    result = site.vosd("cdr", "export", "--out", str(site.out))
    assert (result.exit_code, "is another call's now" in result.output) == (1, True)


def test_numbers_of_corrected_calls_are_no_sign_of_a_loss(site):
    site.profile.write_text("max_rows: 3")
    site.book(calls(*range(1, 31)))
    words = ("--profile", str(site.profile))
    assert [each["rows"] for each in site.export(*words)] == [3] * 10
    for index in (28, 30, 3):
        site.correct(index, "0.01", f"t{index}")
        assert [each["rows"] for each in site.export(*words)] == [1]
    site.book([refused_call(31)])
    assert [each["rows"] for each in site.export(*words)] == [1]


def test_calls_of_a_file_that_was_damaged_before_it_appeared_are_written_again(site, monkeypatch):
    site.book(calls(1, 2))
    site.export()
    site.book(calls(3, 4, 5))
    with monkeypatch.context() as context:
        context.setattr(export_files.ExportDirectory, "_show", broken_off)
        assert site.vosd("cdr", "export", "--out", str(site.out)).exit_code == 1
    part = site.out / ".cdr.part"
    part.write_bytes(part.read_bytes()[:100])
    assert export_files.positions(site.out) == {"cdr": 3}
    site.book(calls(6))
    (manifest,) = site.export()
    assert (manifest["number"], manifest["rows"]) == (2, 4)
    assert site.exported() == [call_id(index) for index in range(1, 7)]
    assert export_files.positions(site.out)["cdr"] > manifest["last"]
    assert site.export() == []


def broken_off(*_: object) -> None:
    raise OSError(errno.EIO, "no disk")
