"""The log of the processes that do work once a day, or every five minutes, beside the switch."""

import json

import pytest

from vosd.daemon import bilateral_process
from vosd.daemon.bilateral_process import BilateralOrder, BilateralOutcome
from vosd.daemon.daily import answer_of, why_failed


async def test_a_fault_of_the_program_is_in_the_log_of_the_switch(capfd):
    order = BilateralOrder("nodatabase+nodriver://", 0, 1, ())
    with pytest.raises(EOFError) as ended:
        await answer_of(bilateral_process.__name__, order, BilateralOutcome)
    assert "run_failed" in why_failed(ended.value)
    (line,) = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert (line["event"], line["level"]) == ("run_failed", "error")
    assert line["process"] == bilateral_process.__name__
    assert "nodatabase" in line["exception"]
