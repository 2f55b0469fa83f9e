"""What a worker tells pytest-xdist's controller of a test: nothing that is of no interest, for there are 8,000 tests.

A worker would send six messages for each test, and the controller would work on each: together twice what pytest itself
takes for a test. What begins, and a set-up or clean-up that passed in no time, is shown nowhere.
"""

from typing import Any, Final

import pytest

NO_TIME_S: Final = 0.005
"""``--durations`` leaves out what is shorter."""


def send_fewer(config: pytest.Config) -> None:
    """Leave out messages of this process, if it is a worker."""
    for plugin in config.pluginmanager.get_plugins():
        if type(plugin).__name__ == "WorkerInteractor":  # its module is not importable, xdist sends its source
            config.pluginmanager.unregister(plugin)
            _leave_out(plugin)
            config.pluginmanager.register(plugin)


def _leave_out(worker: Any) -> None:
    report_of = worker.pytest_runtest_logreport

    def pytest_runtest_logreport(report: pytest.TestReport) -> None:
        if report.when == "call" or not report.passed or report.duration > NO_TIME_S or report.sections:
            report_of(report=report)

    def pytest_runtest_logstart() -> None:
        return

    worker.pytest_runtest_logreport = pytest_runtest_logreport
    worker.pytest_runtest_logstart = pytest_runtest_logstart
