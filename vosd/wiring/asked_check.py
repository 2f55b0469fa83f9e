"""A check of a change by the running switch, which has read the configuration for the one before."""

from pathlib import Path
from typing import Final

import msgspec

from vosd.catalogue.asked_changes import found_in, question_of
from vosd.catalogue.planned_objects import ChangeCheck, CheckedObjects
from vosd.control.changes import CHECK_S, CheckChange
from vosd.control.client import DaemonRefusedError, DaemonUnreachableError, RunningSwitch

_QUESTION_MAX: Final = 60_000
"""Bytes of a question, which is a part of a request of 64 KiB at most."""


async def checked_by_switch(running: RunningSwitch, config: Path, asked: ChangeCheck) -> CheckedObjects | None:
    """Return the findings of the running switch; None = it does not check such a change, or none runs.

    Raises:
        ConfigError: the configuration would not be valid.
    """
    order = _order(config, asked)
    if order is None:
        return None
    try:
        return found_in(bytes(await running.patient(CHECK_S).ask(order)))
    except (DaemonRefusedError, DaemonUnreachableError, msgspec.DecodeError):
        return None


def _order(config: Path, asked: ChangeCheck) -> CheckChange | None:
    """Return the order; None = the change is too large for one, or no switch has answered a moment ago."""
    if asked.opened is None:
        return None
    question = question_of(asked)
    return None if len(question) > _QUESTION_MAX else CheckChange(str(config.absolute()), msgspec.Raw(question))
