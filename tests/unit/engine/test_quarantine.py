"""The quarantine: records that the database rejects are kept until they are repaired."""

import json
import stat
from pathlib import Path

import pytest
from doubles.closed import closed
from doubles.data.records import answered_call, call_id, refused_call, rejected

from vosd.engine.journal.quarantine import Quarantine, QuarantineError


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "quarantine"


def test_what_is_put_in_is_there_for_the_next_life_and_for_its_owner_only(directory):
    refused = [*rejected("a name; too long", answered_call(1)), *rejected("no such account", refused_call(2))]
    Quarantine(directory).put(refused)
    quarantine = Quarantine(directory)
    assert len(quarantine) == 2
    content = quarantine.read()
    assert {each.record.call_id: (each.record, each.why) for each in content.records} == {
        call_id(1): (answered_call(1), "a name; too long"),
        call_id(2): (refused_call(2), "no such account"),
    }
    assert content.unreadable == []
    modes = {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}
    assert (stat.S_IMODE(directory.stat().st_mode), modes) == (0o700, {0o600})


def test_what_is_removed_is_gone_and_the_rest_stays(directory):
    quarantine = Quarantine(directory)
    quarantine.put(rejected("why", answered_call(1), answered_call(2)))
    quarantine.remove([call_id(1), call_id(9)])
    assert len(quarantine) == Quarantine(directory).count() == 1
    assert quarantine.get(call_id(1)) is None
    assert quarantine.get(call_id(2)).record == answered_call(2)


@pytest.mark.parametrize("content", [b"{", b'{"why": "\xff"}', b'{"why": ' + b"[" * 10_000])
def test_a_file_that_cannot_be_read_is_named_and_counted(directory, content):
    quarantine = Quarantine(directory)
    quarantine.put(rejected("why", answered_call(1)))
    (directory / f"{call_id(2)}.json").write_bytes(content)
    assert quarantine.count() == 2
    content = quarantine.read()
    assert [each.path.name for each in content.unreadable] == [f"{call_id(2)}.json"]
    assert len(content.records) == 1
    with pytest.raises(QuarantineError, match="cannot be read"):
        quarantine.get(call_id(2))


def test_a_record_in_which_a_bit_is_wrong_is_not_booked(directory):
    quarantine = Quarantine(directory)
    quarantine.put(rejected("why", answered_call(1)))
    [path] = directory.iterdir()
    whole = path.read_bytes()
    end = whole.index(b',"why"')
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        content = quarantine.read()
        assert [each.record for each in content.records] in ([], [answered_call(1)]), place
        assert len(content.records) + len(content.unreadable) == 1
        if len(b'{"record":') <= place < end:
            assert content.records == []
        path.write_bytes(whole[:place])
        assert quarantine.read().records == []


def test_a_file_of_an_earlier_version_has_no_checksum(directory):
    quarantine = Quarantine(directory)
    quarantine.put(rejected("why", answered_call(1)))
    [path] = directory.iterdir()
    path.write_bytes(path.read_bytes().partition(b',"checksum"')[0] + b"}")
    assert quarantine.get(call_id(1)).record == answered_call(1)


def test_a_record_that_an_operator_has_edited_is_read_once_its_checksum_is_removed(directory):
    quarantine = Quarantine(directory)
    quarantine.put(rejected("why", answered_call(1)))
    [path] = directory.iterdir()
    content = json.loads(path.read_bytes())
    path.write_text(json.dumps(content, indent=2))
    with pytest.raises(QuarantineError, match="or was edited; without its checksum it is booked as it stands"):
        quarantine.get(call_id(1))
    del content["checksum"]
    path.write_text(json.dumps(content, indent=2))
    assert quarantine.get(call_id(1)).record == answered_call(1)


@pytest.mark.parametrize(
    ("place", "name"), [(("refused_at",), "refused_at"), (("record", "ended_at"), "ended_at of its record is no date")]
)
def test_a_record_with_a_time_that_is_no_date_is_named_and_stops_no_list_of_the_others(
    directory: Path, place: tuple[str, ...], name: str
) -> None:
    """Such a time was an overflow of ``vosd spool list``."""
    quarantine = Quarantine(directory)
    for number in (1, 2):
        quarantine.put(rejected("why", answered_call(number)))
    path = directory / f"{call_id(1)}.json"
    content = json.loads(path.read_bytes())
    del content["checksum"]
    inner = content if len(place) == 1 else content[place[0]]
    inner[place[-1]] = 400_000_000_000_000
    path.write_text(json.dumps(content))
    found = quarantine.read()
    assert [each.record.call_id for each in found.records] == [call_id(2)]
    ((unreadable, why),) = found.unreadable
    assert (unreadable, name in why) == (path, True)


def test_a_copy_of_a_file_under_another_name_is_not_booked_as_a_second_record(directory):
    quarantine = Quarantine(directory)
    quarantine.put(rejected("why", answered_call(1)))
    (directory / f"{call_id(2)}.json").write_bytes((directory / f"{call_id(1)}.json").read_bytes())
    content = quarantine.read()
    assert [each.record.call_id for each in content.records] == [call_id(1)]
    assert [each.why for each in content.unreadable] == [f"its record is of another call, {call_id(1)}"]


@pytest.mark.parametrize("is_above", [False, True])
def test_a_directory_that_this_user_may_not_read_is_no_empty_quarantine(directory, is_above):
    Quarantine(directory).put(rejected("why", answered_call(1)))
    said = r"quarantine cannot be read: run this as the user of the switch; if it is that, chown -R \d+: .*quarantine$"
    with closed(directory.parent if is_above else directory), pytest.raises(QuarantineError, match=said):
        Quarantine(directory).read()
    with closed(directory.parent if is_above else directory), pytest.raises(QuarantineError, match=said):
        Quarantine(directory).ids()


def test_the_calls_of_a_vendor_and_time_are_counted_with_the_files_that_cannot_be_read(directory):
    quarantine, parties = Quarantine(directory), {"vendor_account": "carrier"}
    quarantine.put(rejected("why", *(answered_call(number, **parties, started_at=number) for number in range(4))))
    quarantine.put(rejected("why", answered_call(4, vendor_account="rival", started_at=2)))
    assert quarantine.read().count_of("carrier", 1, 3) == 2
    (directory / f"{call_id(2)}.json").write_text("{")
    assert quarantine.read().count_of("carrier", 1, 2) == 2


def test_text_that_is_no_utf_8_is_kept_escaped(directory):
    quarantine = Quarantine(directory)
    quarantine.put(rejected("why", answered_call(1, sip_call_id_in="\udcfc@192.0.2.10")))
    [refused] = quarantine.read().records
    assert (refused.record.sip_call_id_in, refused.record.fee) == ("\\udcfc@192.0.2.10", answered_call(1).fee)


def test_without_a_quarantine_there_is_nothing_in_it(directory):
    quarantine = Quarantine(directory)
    assert (len(quarantine), quarantine.read().records, quarantine.get(call_id(1))) == (0, [], None)
    quarantine.remove([call_id(1)])
    assert not directory.exists()
