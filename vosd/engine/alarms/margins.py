"""The margin on the calls of the last hour: in each currency in which calls are paid for, and of each prefix.

Pure: what calls have brought is an argument.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Final, NamedTuple

from vosd.base.money import EXACT, ZERO

MINUTES: Final = 60
"""Length of the time whose margin is judged."""
PREFIXES_MAX: Final = 5_000


class Takings(NamedTuple):
    """Income and cost of calls, without tax."""

    calls: int = 0
    income: Decimal = ZERO
    cost: Decimal = ZERO

    @property
    def margin_percent(self) -> float | None:
        """Profit in percent of the income; minus 100 where calls cost something and brought nothing."""
        whole = self.income or self.cost
        if not whole:
            return None
        return float(EXACT.divide(EXACT.multiply(EXACT.subtract(self.income, self.cost), Decimal(100)), whole))


Pair = tuple[str, str]
"""Currency of the income, currency of the cost."""


PrefixPair = tuple[str, str, str]
"""Prefix of the customer's rate, currency of the income, currency of the cost."""


class PrefixMargins:
    """Income and cost of the calls of the last hour by prefix, of ``PREFIXES_MAX`` prefixes at most."""

    def __init__(self) -> None:
        self._minutes: deque[Mapping[PrefixPair, Takings]] = deque()
        self._hour: dict[PrefixPair, Takings] = {}

    def note(
        self, minute: Mapping[PrefixPair, Takings], rate: Callable[[str, str], Decimal | None]
    ) -> dict[tuple[str, str], Takings]:
        """Take the sums of one minute; return those of the last hour by prefix and currency of income.

        ``rate`` is that of ``Margins.note``.
        """
        hour = self._hour
        if len(self._minutes) == MINUTES:
            for key, gone in self._minutes.popleft().items():
                calls, income, cost = hour[key]
                if calls == gone.calls:
                    del hour[key]
                else:
                    income, cost = EXACT.subtract(income, gone.income), EXACT.subtract(cost, gone.cost)
                    hour[key] = Takings(calls - gone.calls, income, cost)
        taken = dict[PrefixPair, Takings]()
        for key, came in minute.items():
            if key in hour or len(hour) < PREFIXES_MAX:
                calls, income, cost = hour.get(key, _NOTHING)
                hour[key] = Takings(calls + came.calls, EXACT.add(income, came.income), EXACT.add(cost, came.cost))
                taken[key] = came
        self._minutes.append(taken)
        found = dict[tuple[str, str], Takings]()
        for (prefix, income_in, cost_in), sums in hour.items():
            exchange_rate = rate(cost_in, income_in)
            if exchange_rate is not None:
                calls, income, cost = found.get((prefix, income_in), _NOTHING)
                cost = EXACT.add(cost, EXACT.multiply(sums.cost, exchange_rate))
                found[prefix, income_in] = Takings(calls + sums.calls, EXACT.add(income, sums.income), cost)
        return found


class Margins:
    """Income and cost since the start, as they were at each minute of the last hour."""

    def __init__(self) -> None:
        self._seen: deque[Mapping[Pair, Takings]] = deque(maxlen=MINUTES + 1)

    def note(
        self, since_start: Mapping[Pair, Takings], rate: Callable[[str, str], Decimal | None]
    ) -> Iterator[tuple[str, Takings]]:
        """Take the sums of this minute; yield those of the last hour for each currency of income.

        ``rate`` returns what one unit of a currency is in another; calls whose cost it cannot convert are left out.
        """
        self._seen.append(since_start)
        before, found = self._seen[0], dict[str, Takings]()
        for pair, now in since_start.items():
            (income_in, cost_in), then = pair, before.get(pair, _NOTHING)
            exchange_rate = rate(cost_in, income_in)
            if exchange_rate is None:
                continue
            cost = EXACT.multiply(EXACT.subtract(now.cost, then.cost), exchange_rate)
            calls, income, costs = found.get(income_in, _NOTHING)
            income = EXACT.add(income, EXACT.subtract(now.income, then.income))
            found[income_in] = Takings(calls + now.calls - then.calls, income, EXACT.add(costs, cost))
        yield from found.items()


_NOTHING: Final = Takings()
