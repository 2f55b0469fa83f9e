"""The files in which reports of calls wait: damage, size, and a disk that takes nothing."""

import json
from pathlib import Path
from typing import Any

from doubles.data.records import call_id
from structlog.testing import capture_logs

from vosd.engine.reports import spool
from vosd.engine.reports.spool import ReportSpool

SECRET = "not a secret"
MONEY = ("fee", "tax", "cost", "cost_tax")


def report_of(number: int, text: str = "") -> Any:
    body = json.dumps({"id": f"{call_id(number)}-1", "text": text}).encode()
    return spool.CallReport(number, call_id(number), 1_790_000_000_000, body)


def reopened(directory: Path) -> list[int]:
    return [each.number for each in ReportSpool(directory).open().reports]


def test_a_line_that_was_cut_off_is_left_out(tmp_path):
    files = ReportSpool(tmp_path)
    files.open()
    for number in range(1, 4):
        files.add(report_of(number))
    files.close()
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    for size in range(len(whole) - 2, len(whole) - 60, -1):
        path.write_bytes(whole[:size])
        assert reopened(tmp_path) == [1, 2]
        for other in sorted(tmp_path.iterdir())[1:]:
            other.unlink()


def test_a_line_with_a_damaged_letter_is_left_out_and_stops_no_start(tmp_path):
    files = ReportSpool(tmp_path)
    files.open()
    for number in range(1, 4):
        files.add(report_of(number, "text"))
    files.close()
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes().replace(b"text", b"te\xf8t", 4).replace(b"te\xf8t", b"text", 3))
    found = ReportSpool(tmp_path).open()
    assert ([each.number for each in found.reports], found.unreadable) == ([1, 3], 1)


def test_a_line_whose_checksum_is_wrong_is_refused_with_its_file_and_the_others_are_read(tmp_path):
    files = ReportSpool(tmp_path)
    files.open()
    for number in range(1, 5):
        files.add(report_of(number, "cost 10.00"))
    files.done(report_of(4))
    files.close()
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"cost 10.00", b"cost 90.00", 1).replace(b"D2 4 ", b"D2 3 "))
    with capture_logs() as logs:
        found = ReportSpool(tmp_path).open()
    assert ([each.number for each in found.reports], found.unreadable) == ([2, 3, 4], 2)
    (line,) = logs
    told = (line["event"], line["log_level"], line["file"], line["unreadable"], line["lines"])
    assert told == ("report_lines_unreadable", "warning", str(path), 2, "1, 5")
    path.write_bytes(whole[:-1] + b"\nD2 2")  # cut off: what is left of its number is that of another report
    assert [each.number for each in spool.spooled_in(tmp_path)] == [1, 2, 3]


def test_every_single_bit_that_is_wrong_is_noticed(tmp_path):
    files = ReportSpool(tmp_path)
    files.open()
    reports = [report_of(number, "cost 1.10") for number in range(1, 4)]
    for each in reports:
        files.add(each)
    files.done(reports[0])
    files.close()
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    for place in range(len(whole)):
        for bit in range(8):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
            read = spool.spooled_in(tmp_path)
            assert all(each in reports for each in read)
            assert len(read) >= (0 if whole[place] == ord("\n") else 1)  # two lines become one without the end of one


def test_lines_of_an_earlier_version_without_checksum_are_read(tmp_path):
    reports = [report_of(number, "ends in abcdef01") for number in range(1, 4)]
    lines = [b"R %d %d %s %s" % (each.number, each.made_at, each.call_id.encode(), each.body) for each in reports]
    (tmp_path / "reports-00000001.log").write_bytes(b"\n".join([*lines, b"D 2 12345678", b""]))
    files = ReportSpool(tmp_path)
    assert files.open() == ([reports[0], reports[2]], 12345678, 0)
    files.add(report_of(12345679))
    files.done(reports[0])
    files.close()
    assert reopened(tmp_path) == [3, 12345679]


def test_the_size_of_the_files_is_bounded_whatever_waits(tmp_path, monkeypatch):
    monkeypatch.setattr(spool, "FILE_BYTES", 2_000)
    monkeypatch.setattr(spool, "SPARE_BYTES", 8_000)
    files = ReportSpool(tmp_path)
    files.open()
    kept = [report_of(number, "stays") for number in (1, 500, 900)]
    for number in range(1, 1_000):
        report = next((each for each in kept if each.number == number), report_of(number, "x" * 50))
        files.add(report)
        if report not in kept:
            files.done(report)
        if number % 10 == 0:
            files.tidy()
            assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 8_000 + 2 * 2_000 + 2_000
    files.close()
    assert reopened(tmp_path) == [1, 500, 900]
    assert oct(tmp_path.joinpath(next(tmp_path.iterdir())).stat().st_mode & 0o777) == "0o600"


def test_a_disk_that_takes_nothing_is_reported_once_and_made_up_for(tmp_path, monkeypatch):
    files = ReportSpool(tmp_path)
    files.open()

    def full(*_about: object) -> int:
        raise OSError(28, "No space left on device")

    usual = spool.system_write
    with capture_logs() as logs:
        monkeypatch.setattr(spool, "system_write", full)
        for number in range(1, 4):
            files.add(report_of(number))
        monkeypatch.setattr(spool, "system_write", usual)
        files.done(report_of(2))
        files.tidy()
    assert [line["event"] for line in logs] == ["call_reports_unwritten", "call_reports_written"]
    files.close()
    assert reopened(tmp_path) == [1, 3]


def test_a_directory_that_cannot_be_made_stops_no_start(tmp_path):
    (tmp_path / "file").write_text("")
    files = ReportSpool(tmp_path / "file" / "spool")
    with capture_logs() as logs:
        assert files.open() == ([], 0, 0)
        files.add(report_of(1))
        files.tidy()
        files.done(report_of(1))
    assert [line["event"] for line in logs] == ["call_reports_unwritten"]


def test_files_that_cannot_be_written_and_are_wanted_no_more_are_no_alarm(tmp_path):
    (tmp_path / "file").write_text("")
    files = ReportSpool(tmp_path / "file" / "spool")
    with capture_logs() as logs:
        files.open()
        files.add(report_of(1))
        files.remove_all()
    assert [line["event"] for line in logs] == ["call_reports_unwritten", "call_reports_written"]


def test_a_file_that_cannot_be_read_is_left_alone_and_the_others_are_read(tmp_path):
    files = ReportSpool(tmp_path)
    files.open()
    files.add(report_of(1))
    files.close()
    (tmp_path / "reports-00000002.log").mkdir()  # no one may read it: it is no file
    after = ReportSpool(tmp_path)
    with capture_logs() as logs:
        assert [each.number for each in after.open().reports] == [1]
        after.add(report_of(2))
        after.tidy()
        after.close()
        assert reopened(tmp_path) == [1, 2]
    assert "call_reports_unwritten" in [line["event"] for line in logs]
    assert (tmp_path / "reports-00000002.log").exists()


def test_all_directories_above_the_files_are_for_the_switch_alone(tmp_path):
    tmp_path.chmod(0o755)
    ReportSpool(tmp_path / "webhooks" / "receiver").open()
    made = (tmp_path / "webhooks", tmp_path / "webhooks" / "receiver")
    assert [oct(each.stat().st_mode & 0o777) for each in made] == ["0o700", "0o700"]
