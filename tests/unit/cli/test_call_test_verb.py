"""``vosd call test`` against a control socket of the test's own: its exit code and its last line, for each outcome."""

import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner
from doubles.fake_switch import FakeSwitch
from doubles.migrated import migrated

from vosd.cli.main import main
from vosd.control.calls import MakeTestCall, TrialReport, TrialResult, TrialStep, TrialUpdate

WELL = {TrialResult.ANSWERED, TrialResult.RANG}
STEP = TrialStep(1_804, "180 Ringing")


def report(result: TrialResult) -> TrialReport:
    return TrialReport(
        result, "carrier-a", None, "", "4420", 200, None, None, None, None, None, None, 0, "0", "0", None, [STEP]
    )


@pytest.mark.parametrize("result", TrialResult)
async def test_the_outcome_is_said_in_words_and_decides_the_exit_code(result: TrialResult, tmp_path: Path) -> None:
    config, socket = tmp_path / "vosd.yaml", tmp_path / "vosd.sock"
    config.write_text(f"control_socket: {socket}\ndatabase: {{url: '{migrated(tmp_path / 'vosd.db')}'}}\n")
    words = ["-c", str(config), "call", "test", "--via", "carrier-a", "--callee", "4420"]
    switch = FakeSwitch(socket).reports(MakeTestCall, TrialUpdate([STEP]), TrialUpdate([], report(result)))
    async with switch:
        found = await asyncio.to_thread(CliRunner().invoke, main, words)
    assert "TrialResult" not in found.output + found.stderr
    assert "1.804 s  180 Ringing" in found.stdout
    if result in WELL:
        assert (found.exit_code, found.stderr) == (0, "")
    else:
        assert (found.exit_code, found.stderr) == (1, f"Error: the test call has ended: {result.value}\n")
