"""A start in an outage of the database waits for it, unless one before it has done so."""

from structlog.testing import capture_logs

from vosd.daemon.late_database import NAME, KnownOutage


async def test_only_the_first_start_in_an_outage_waits(tmp_path):
    assert KnownOutage(tmp_path, "boot-1").shortened(10) == 10
    KnownOutage(tmp_path, "boot-1").found()
    assert KnownOutage(tmp_path, "boot-1").shortened(10) == 0
    await KnownOutage(tmp_path, "boot-1").over()
    assert KnownOutage(tmp_path, "boot-1").shortened(10) == 10


def test_after_another_boot_the_database_may_be_starting_as_well(tmp_path):
    KnownOutage(tmp_path, "boot-1").found()
    assert KnownOutage(tmp_path, "boot-2").shortened(10) == 10
    (tmp_path / NAME).write_bytes(b"boot-\xb1")
    assert KnownOutage(tmp_path, "boot-1").shortened(10) == 10, "a damaged file"
    KnownOutage(tmp_path, "").found()
    assert KnownOutage(tmp_path, "").shortened(10) == 10, "a machine that hides its boot"


def test_a_state_directory_that_takes_nothing_is_named(tmp_path, caplog):
    outage = KnownOutage(tmp_path / "missing", "boot-1")
    outage.found()
    assert outage.shortened(10) == 10


async def test_an_outage_whose_end_cannot_be_noted_is_over_all_the_same(tmp_path):
    (tmp_path / NAME).mkdir()  # cannot be removed as a file, like any file of a read-only disk
    with capture_logs() as log:
        await KnownOutage(tmp_path, "boot-1").over()
    assert [(line["event"], line["log_level"]) for line in log] == [("outage_not_noted", "warning")]
    with capture_logs() as log:
        await KnownOutage(tmp_path / NAME / "missing", "boot-1").over()
    assert log == []
