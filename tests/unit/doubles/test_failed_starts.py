"""A process whose start fails ends with the test that began it."""

import subprocess
import sys
from pathlib import Path

import pytest
from doubles import api
from doubles.api import Api


def test_an_api_that_does_not_answer_its_first_request_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mute = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])  # it does not get the listener
    monkeypatch.setattr(api, "_executed", lambda _config, _listener: mute)
    try:
        with pytest.raises(ConnectionRefusedError), Api(tmp_path, is_executed=True):
            pass
        assert mute.poll() is not None
    finally:
        mute.kill()
        mute.wait()
