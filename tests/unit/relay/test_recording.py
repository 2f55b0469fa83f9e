"""Files of recordings, as the thread of a worker writes them."""

import errno
import os
from struct import pack
from threading import Thread

import pytest

from vosd.media.pcap import HEADER, record, whole_bytes
from vosd.relay import recording as module
from vosd.relay.media_port import DATAGRAM_BYTES
from vosd.relay.recording import Recording, RecordingWriter

FULL = OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
STALE = OSError(errno.ESTALE, os.strerror(errno.ESTALE))
READ_ONLY = OSError(errno.EROFS, os.strerror(errno.EROFS))
SOURCE, DESTINATION = ("192.0.2.10", 4_000), ("192.0.2.1", 5_000)
PACKET = record(b"packet", SOURCE, DESTINATION, 7)


@pytest.fixture
def writer():
    return RecordingWriter()


def ends_after(room, write):
    """Return a way to write that takes so many bytes, and then is an error, as a quota has it."""
    left = room

    def written(descriptor, content):
        nonlocal left
        if not left:
            raise FULL
        taken = write(descriptor, content[:left])
        left -= taken
        return taken

    return written


def written_so_far(recording, writer):
    """Have all written that was added, and return the writer of the rest."""
    writer.finish()
    recording._writer = RecordingWriter()
    return recording._writer


def test_a_file_is_begun_once_and_gone_on_with(tmp_path, writer, monkeypatch):
    monkeypatch.setattr(module, "time_ns", lambda: 7)
    path = tmp_path / "today" / "call.pcap"
    for _ in range(2):
        recording = Recording(path, writer)
        recording.add(b"packet", SOURCE, DESTINATION)
        recording.close()
    writer.finish()
    assert path.read_bytes() == HEADER + 2 * record(b"packet", SOURCE, DESTINATION, 7)
    assert (recording.has_begun, recording.is_over) == (True, False)


@pytest.mark.parametrize("source", [SOURCE, ("2001:db8::10", 4_000)])
@pytest.mark.parametrize(
    ("whole", "rest"),
    [
        pytest.param(2, PACKET[:-5], id="the last octets are missing"),
        pytest.param(2, PACKET[:9], id="most is missing"),
        pytest.param(2_000, PACKET[:40], id="in a long file"),
        pytest.param(2_000, bytes(4_096), id="room that was not written to"),
        pytest.param(0, PACKET[:30], id="the first packet"),
        pytest.param(2, b"", id="nothing is missing"),
        pytest.param(2_000, b"", id="nothing is missing in a long file"),
        pytest.param(0, b"", id="no packet"),
    ],
)
def test_a_packet_that_a_killed_worker_has_written_in_part_is_cut_off(
    tmp_path, writer, monkeypatch, source, whole, rest
):
    """Nothing behind it could be read."""
    monkeypatch.setattr(module, "time_ns", lambda: 7)
    destination = DESTINATION if source is SOURCE else ("2001:db8::1", 5_000)
    packet = record(b"packet", source, destination, 7)
    path = tmp_path / "call.pcap"
    path.write_bytes(HEADER + whole * packet + rest)
    recording = Recording(path, writer)
    recording.add(b"packet", source, destination)
    recording.close()
    writer.finish()
    assert path.read_bytes() == HEADER + (whole + 1) * packet
    assert (recording.has_begun, recording.is_over) == (True, False)


@pytest.mark.parametrize("length", [100, 60_000, 65_440])
@pytest.mark.parametrize("rest", [b"", PACKET[:-5]])
def test_media_that_look_like_packets_of_a_file_cut_off_nothing_else(tmp_path, writer, monkeypatch, length, rest):
    """A caller could make the recording unreadable."""
    monkeypatch.setattr(module, "time_ns", lambda: 7)
    posed = pack("<IIII", 7, 7, length, length) + pack(">BBH", 0x45, 0, length)
    packet = record(bytes(12) + 7 * posed + bytes(20), SOURCE, DESTINATION, 7)
    path = tmp_path / "call.pcap"
    path.write_bytes(HEADER + 1_000 * packet + rest)
    recording = Recording(path, writer)
    recording.add(b"packet", SOURCE, DESTINATION)
    recording.close()
    writer.finish()
    assert path.read_bytes() == HEADER + 1_000 * packet + PACKET


@pytest.mark.parametrize("source", [SOURCE, ("2001:db8::10", 4_000)])
def test_the_longest_packets_that_a_worker_reads_are_packets_of_a_file(source):
    destination = DESTINATION if source is SOURCE else ("2001:db8::1", 5_000)
    longest = record(bytes(DATAGRAM_BYTES), source, destination, 7)
    assert whole_bytes(longest + longest[:-1], is_beginning=True) == len(longest)


def test_a_beginning_that_a_killed_worker_has_written_in_part_is_written_anew(tmp_path, writer, monkeypatch):
    monkeypatch.setattr(module, "time_ns", lambda: 7)
    path = tmp_path / "call.pcap"
    path.write_bytes(HEADER[:11])
    recording = Recording(path, writer)
    recording.add(b"packet", SOURCE, DESTINATION)
    recording.close()
    writer.finish()
    assert path.read_bytes() == HEADER + record(b"packet", SOURCE, DESTINATION, 7)


def test_a_recording_stops_in_the_middle_where_the_disk_is_full(tmp_path, writer, monkeypatch):
    rooms = [True, False]
    monkeypatch.setattr(module, "has_room", lambda _: rooms.pop(0))
    recording = Recording(tmp_path / "call.pcap", writer)
    for _ in range(3):
        recording.add(b"packet", SOURCE, DESTINATION)
        recording.flush()
    recording.close()
    writer.finish()
    assert (tmp_path / "call.pcap").read_bytes() == HEADER
    assert (recording.has_begun, recording.is_over, recording.error) == (True, True, "the disk is nearly full")


def begun(tmp_path, writer, monkeypatch):
    """Return a file, its recording, which has one packet so far, and the thread that writes the next ones."""
    monkeypatch.setattr(module, "time_ns", lambda: 7)
    path = tmp_path / "today" / "call.pcap"
    recording = Recording(path, writer)
    recording.add(b"before", SOURCE, DESTINATION)
    recording.flush()
    second = written_so_far(recording, writer)
    return path, recording, second


def test_a_file_that_was_deleted_begins_anew(tmp_path, writer, monkeypatch):
    path, recording, second = begun(tmp_path, writer, monkeypatch)
    path.unlink()
    path.parent.rmdir()
    for packet in (b"after", b"later"):
        recording.add(packet, SOURCE, DESTINATION)
        recording.flush()
    recording.close()
    second.finish()
    rest = record(b"after", SOURCE, DESTINATION, 7) + record(b"later", SOURCE, DESTINATION, 7)
    assert path.read_bytes() == HEADER + rest
    assert (recording.has_begun, recording.is_over) == (True, False)


def test_a_file_that_was_emptied_begins_anew(tmp_path, writer, monkeypatch):
    """As logrotate does with copytruncate: without a beginning no program reads what follows."""
    monkeypatch.setattr(module, "time_ns", lambda: 7)
    path = tmp_path / "call.pcap"
    recording = Recording(path, writer)
    recording.add(b"packet", SOURCE, DESTINATION)
    recording.flush()
    second = written_so_far(recording, writer)
    os.truncate(path, 0)
    for _ in range(2):
        recording.add(b"packet", SOURCE, DESTINATION)
        recording.flush()
    recording.close()
    second.finish()
    assert path.read_bytes() == HEADER + 2 * PACKET


@pytest.mark.parametrize("is_replaced", [True, False])
def test_a_file_whose_disk_is_replaced_begins_anew_and_one_that_is_moved_goes_on(
    tmp_path, writer, monkeypatch, is_replaced
):
    """A disk that is detached while files of it are open (``umount --lazy``) takes what is written to them."""
    path, recording, second = begun(tmp_path, writer, monkeypatch)
    before = path.parent.rename(tmp_path / "elsewhere") / path.name
    if is_replaced:
        monkeypatch.setattr(module, "_disk_of", lambda _: recording.disk + 1)
    recording.add(b"after", SOURCE, DESTINATION)
    recording.close()
    second.finish()
    first, rest = (record(packet, SOURCE, DESTINATION, 7) for packet in (b"before", b"after"))
    assert before.read_bytes() == HEADER + first + (b"" if is_replaced else rest)
    assert path.exists() is is_replaced
    assert not is_replaced or path.read_bytes() == HEADER + rest
    assert (recording.has_begun, recording.is_over) == (True, False)


def test_a_file_of_a_disk_that_answers_no_more_begins_anew(tmp_path, writer, monkeypatch):
    """So does one of a server or of FUSE, whose disk was detached: each question about the file is an error."""
    path, recording, second = begun(tmp_path, writer, monkeypatch)
    path.parent.rename(tmp_path / "gone")
    gone, ways = recording.descriptor, {name: getattr(os, name) for name in ("fstat", "close")}

    def unless_it_is_gone(name):
        def asked(descriptor):
            if descriptor == gone:
                monkeypatch.setattr(module.os, name, ways[name])
                raise STALE
            return ways[name](descriptor)

        return asked

    for name in ways:
        monkeypatch.setattr(module.os, name, unless_it_is_gone(name))
    recording.add(b"after", SOURCE, DESTINATION)
    recording.close()
    second.finish()
    os.close(gone)
    assert path.read_bytes() == HEADER + record(b"after", SOURCE, DESTINATION, 7)
    assert (recording.has_begun, recording.is_over) == (True, False)


def test_a_file_goes_on_whose_place_cannot_be_looked_at(tmp_path, writer, monkeypatch):
    path, recording, second = begun(tmp_path, writer, monkeypatch)
    moved = path.parent.rename(tmp_path / "elsewhere") / path.name
    path.parent.symlink_to(path.parent)
    recording.add(b"after", SOURCE, DESTINATION)
    recording.close()
    second.finish()
    packets = (record(packet, SOURCE, DESTINATION, 7) for packet in (b"before", b"after"))
    assert moved.read_bytes() == HEADER + b"".join(packets)
    assert (recording.has_begun, recording.is_over) == (True, False)


def test_a_recording_stops_where_no_thread_can_be_started_and_a_later_one_begins(tmp_path, writer, monkeypatch):
    """The system limits the threads of a service (TasksMax), and of a user (RLIMIT_NPROC)."""
    start = Thread.start
    monkeypatch.setattr(Thread, "start", without_a_thread)
    recording = Recording(tmp_path / "call.pcap", writer)
    recording.add(b"packet", SOURCE, DESTINATION)
    recording.close()
    assert (recording.has_begun, recording.is_over, recording.is_closed) == (False, True, True)
    assert recording.error.startswith("no thread can be started")
    monkeypatch.setattr(Thread, "start", start)
    later = Recording(tmp_path / "later.pcap", writer)
    later.close()
    writer.finish()
    assert (later.has_begun, later.is_over, later.is_closed) == (True, False, True)


def without_a_thread(_thread):
    raise RuntimeError("can't start new thread")


def test_there_is_no_file_where_it_was_deleted_and_cannot_begin_anew(tmp_path, writer):
    path = tmp_path / "today" / "call.pcap"
    recording = Recording(path, writer)
    second = written_so_far(recording, writer)
    path.unlink()
    path.parent.rmdir()
    path.parent.touch()
    recording.add(b"packet", SOURCE, DESTINATION)
    recording.close()
    second.finish()
    assert (recording.has_begun, recording.is_over) == (False, True)


def test_what_the_disk_takes_in_parts_is_written_to_its_end(tmp_path, writer, monkeypatch):
    monkeypatch.setattr(module, "time_ns", lambda: 7)
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, content: write(descriptor, content[:20]))
    recording = Recording(tmp_path / "call.pcap", writer)
    for _ in range(3):
        recording.add(b"packet", SOURCE, DESTINATION)
        recording.flush()
    recording.close()
    writer.finish()
    assert (tmp_path / "call.pcap").read_bytes() == HEADER + 3 * record(b"packet", SOURCE, DESTINATION, 7)


def test_a_file_that_goes_on_once_there_is_room_again_has_no_part_of_a_packet_in_it(tmp_path, writer, monkeypatch):
    """A session that is refreshed has its recording go on."""
    monkeypatch.setattr(module, "time_ns", lambda: 7)
    path, write = tmp_path / "call.pcap", os.write
    first = Recording(path, writer)
    first.add(b"before", SOURCE, DESTINATION)
    first.flush()
    full = written_so_far(first, writer)
    monkeypatch.setattr(os, "write", ends_after(20, write))
    first.add(b"lost", SOURCE, DESTINATION)
    first.close()
    full.finish()
    monkeypatch.setattr(os, "write", write)
    assert (first.has_begun, first.is_over, first.error) == (True, True, str(FULL))
    again = RecordingWriter()
    second = Recording(path, again)
    second.add(b"after", SOURCE, DESTINATION)
    second.close()
    again.finish()
    whole = record(b"before", SOURCE, DESTINATION, 7) + record(b"after", SOURCE, DESTINATION, 7)
    assert path.read_bytes() == HEADER + whole


def test_an_error_when_a_file_is_closed_costs_no_other_recording(tmp_path, writer, monkeypatch):
    """A disk in the network says only then that it has no room (close(2))."""
    close, errors = os.close, [FULL]

    def closed(descriptor):
        close(descriptor)
        if errors:
            raise errors.pop()

    monkeypatch.setattr(os, "close", closed)
    first, second = (Recording(tmp_path / name, writer) for name in ("first.pcap", "second.pcap"))
    for each in (first, second):
        each.add(b"packet", SOURCE, DESTINATION)
        each.close()
    writer.finish()
    assert [(each.is_closed, each.is_over, each.error) for each in (first, second)] == [
        (True, True, str(FULL)),
        (True, False, ""),
    ]
    assert (tmp_path / "second.pcap").stat().st_size > len(HEADER)


def test_there_is_a_file_where_it_cannot_be_gone_on_with(tmp_path, writer, monkeypatch):
    """A disk with errors is read-only from then on; a session that is refreshed has its recording go on."""
    path = tmp_path / "call.pcap"
    first = Recording(path, writer)
    first.close()
    writer.finish()
    monkeypatch.setattr(os, "open", refused)
    later = RecordingWriter()
    second = Recording(path, later)
    second.close()
    later.finish()
    assert (second.has_begun, second.is_over, second.error) == (True, True, str(READ_ONLY))


def refused(*_file):
    raise READ_ONLY


def test_a_device_that_is_full_stays(tmp_path, writer):
    """It is reached by a link here: a fault of the program would cost the link, and not the machine its device."""
    (path := tmp_path / "call.pcap").symlink_to("/dev/full")
    recording = Recording(path, writer)
    recording.add(b"packet", SOURCE, DESTINATION)
    recording.close()
    writer.finish()
    assert (recording.is_over, path.is_symlink()) == (True, True)


def test_there_is_no_file_where_its_beginning_finds_no_room(tmp_path, writer, monkeypatch):
    monkeypatch.setattr(os, "write", ends_after(10, os.write))
    recording = Recording(tmp_path / "today" / "call.pcap", writer)
    recording.close()
    writer.finish()
    assert list((tmp_path / "today").iterdir()) == []
    assert (recording.has_begun, recording.is_over) == (False, True)


def test_there_is_no_file_where_the_disk_was_full_before(tmp_path, writer, monkeypatch):
    monkeypatch.setattr(module, "has_room", lambda _: False)
    recording = Recording(tmp_path / "today" / "call.pcap", writer)
    recording.close()
    writer.finish()
    assert list((tmp_path / "today").iterdir()) == []
    assert (recording.has_begun, recording.is_over) == (False, True)


def test_a_file_of_a_worker_before_is_there_also_where_nothing_is_added_to_it(tmp_path, writer, monkeypatch):
    path = tmp_path / "call.pcap"
    path.write_bytes(HEADER)
    monkeypatch.setattr(module, "has_room", lambda _: False)
    recording = Recording(path, writer)
    recording.close()
    writer.finish()
    assert (recording.has_begun, recording.is_over) == (True, True)


def test_a_recording_stops_where_the_disk_is_too_slow(tmp_path, writer, monkeypatch):
    monkeypatch.setattr(module, "WAITING_BYTES", -1)
    recording = Recording(tmp_path / "call.pcap", writer)
    assert (recording.is_over, recording.error) == (True, "the disk is too slow")
    recording.close()
    writer.finish()
    assert not recording.has_begun
