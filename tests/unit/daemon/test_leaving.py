"""End of the process of the switch, after all is closed."""

import os

import pytest

from vosd.daemon import bootstrap
from vosd.obs import log


def test_the_process_ends_also_where_the_last_lines_of_the_log_fail(monkeypatch):
    codes: list[int] = []

    def failing() -> None:
        raise RuntimeError

    monkeypatch.setattr(log, "finish", failing)
    monkeypatch.setattr(os, "_exit", codes.append)
    with pytest.raises(RuntimeError):
        bootstrap._leave()
    assert codes == [0]
