"""The rate groups of a configuration whose rates are compiled, all at once, before the groups are read."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from vosd.billing.currencies import FeeDecimals
from vosd.billing.rate_columns import RateColumns
from vosd.billing.rate_file import RateFile
from vosd.catalogue.problems import ProblemList
from vosd.config.assembly.currencies import NONE
from vosd.config.assembly.inventory import label_of
from vosd.config.assembly.rate_groups import ReadGroup, compiled_group
from vosd.config.assembly.rate_orders import order_of
from vosd.config.assembly.rate_tables import Compiled, RateTables
from vosd.config.keys.parameters import ParameterKeys
from vosd.config.reader.document import Section

_NO_RATES: Final = RateFile(memoryview(b"".join(RateColumns(per_cycle=False).encoded())))


class CompiledGroups:
    """Rate groups with a large rate file."""

    def __init__(
        self,
        sections: Sequence[Section],
        parameters: ParameterKeys,
        tables: Callable[[], RateTables],
        problems: ProblemList,
        decimals: Mapping[str, FeeDecimals] = NONE,
    ) -> None:
        """Have the rates of all sections compiled; mistakes are added to ``problems``.

        ``tables`` is asked only where there is such a group.
        """
        labels = [label_of(section, "rate_groups", "name", index) for index, section in enumerate(sections)]
        found = (
            (section, order_of(section, label, parameters, decimals))
            for section, label in zip(sections, labels, strict=True)
        )
        ordered = [(section, order) for section, order in found if order is not None]
        compiled = tables().compiled([order for _, order in ordered], problems) if ordered else ()
        self._parameters = parameters
        self._decimals = decimals
        self._problems = problems
        self._by_section = {
            id(section): (order, table) for (section, order), table in zip(ordered, compiled, strict=True)
        }
        self.tables: dict[str, Compiled] = {
            order.group: table for (_, order), table in zip(ordered, compiled, strict=True) if table is not None
        }
        """By name of the rate group."""

    def has(self, section: Section) -> bool:
        """Return whether a rate group is one of these."""
        return id(section) in self._by_section

    def read(self, section: Section) -> ReadGroup | None:
        """Return a rate group; without rates where its file has mistakes, so that what refers to it can be judged."""
        order, compiled = self._by_section[id(section)]
        table = _NO_RATES if compiled is None else compiled.table
        return compiled_group(section, order.label, self._parameters, table, order.file, self._problems, self._decimals)
