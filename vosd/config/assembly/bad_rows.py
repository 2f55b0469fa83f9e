"""Rows of a compiled rate file that have mistakes: the first ones are named, the others counted."""

from operator import itemgetter

from vosd.catalogue.problems import Place, Problem, ProblemList
from vosd.config.assembly.rate_groups import BAD_ROWS_SHOWN, report_unnamed
from vosd.config.assembly.rate_orders import RateOrder


class BadRows:
    """The first rows with mistakes, and the number of all."""

    def __init__(self) -> None:
        self._named: list[tuple[int, tuple[Problem, ...]]] = []
        self._count = 0

    def note(self, line: int, problems: ProblemList) -> None:
        """Note the problems of a row; rows may come in any order."""
        self._named.append((line, problems.in_order()))
        self._count += 1
        if len(self._named) > 2 * BAD_ROWS_SHOWN:
            self._trim()

    def report(self, order: RateOrder, problems: ProblemList) -> None:
        """Add the problems of the first rows, by line, to ``problems``."""
        self._trim()
        for _, found in self._named:
            for each in found:
                problems.error(Place(each.file, each.line), each.key, each.expected, each.value)
        report_unnamed(self._count, order.group_at, order.label, problems)

    def _trim(self) -> None:
        self._named = sorted(self._named, key=itemgetter(0))[:BAD_ROWS_SHOWN]
