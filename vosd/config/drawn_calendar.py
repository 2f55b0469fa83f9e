"""A calendar made of keys that are not stored, to show its days before it is saved."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from vosd.catalogue.problems import ConfigError, ProblemList
from vosd.catalogue.stored_objects import ObjectVersion
from vosd.config.assembly.calendars import CALENDARS, calendar, read_calendars
from vosd.config.stored_text import document_of, naming_objects
from vosd.routing.calendar import Calendar

_NO_VARIABLES: Final[Mapping[str, str]] = {}
"""Variables of the environment are not read: messages about mistakes would show them to those who only look."""


def drawn_calendar(name: str, keys: Mapping[str, Any], config: Path, zone_variable: str) -> Calendar:
    """Return the calendar that keys of an object make; ``zone_variable`` is the environment variable TZ.

    Raises:
        ConfigError: they have mistakes.
    """
    problems = ProblemList()
    body = json.dumps(keys, default=str)  # a number with a point came as Decimal
    drawn = ObjectVersion(kind=CALENDARS, name=name, version=1, body=body, begins_at=0, made_at=0, operator="")
    written = read_calendars(document_of([drawn], config, _NO_VARIABLES, problems), problems).written
    made = [calendar(each, zone_variable, problems) for each in written.values()]
    if problems.has_errors:
        raise ConfigError(naming_objects(problems.in_order(), config))
    return made[0]
