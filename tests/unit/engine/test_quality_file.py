"""The file of the windows of quality: what a start reads, and what a bad disk means."""

import structlog

from vosd.base.clock import Instant
from vosd.callcontrol.live_state import LiveState
from vosd.engine.state_files import StateFiles
from vosd.routing.quality import Quality

NOW = Instant(90_000, 1_790_000_000_000)


class Stopped:
    """A clock that stands still."""

    def now(self):
        return NOW


def files(state_dir, quality):
    live = LiveState()
    live.quality = quality
    return StateFiles(state_dir, live, Stopped())


def counted() -> Quality:
    quality = Quality()
    quality.answered("a", "44", 700, NOW.mono)
    return quality


def test_a_start_goes_on_with_what_a_stop_has_written(tmp_path):
    file, before, after = tmp_path / "quality.json", counted(), Quality()
    files(tmp_path, before).write_last()
    files(tmp_path, after).restore()
    assert after.saved(NOW) == before.saved(NOW)
    assert after.figures("a", NOW.mono).answered == 1
    assert file.stat().st_mode & 0o777 == 0o600


def test_without_a_file_and_with_a_damaged_one_quality_is_counted_anew(tmp_path):
    quality = Quality()
    file = files(tmp_path, quality)
    file.restore()
    (tmp_path / "quality.json").write_bytes(b'{"slice_ms":')
    with structlog.testing.capture_logs() as lines:
        file.restore()
    assert [line["event"] for line in lines] == ["quality_unreadable"]
    assert len(quality) == 0


def test_a_stop_goes_on_without_its_directory(tmp_path):
    with structlog.testing.capture_logs() as lines:
        files(tmp_path / "gone", counted()).write_last()
    assert [line["event"] for line in lines] == ["quality_not_written"]
