"""Ended calls, counted since the start: why they ended, what gateways answered, how long it took.

Every call is counted once, in the path of its end; so nothing here calls another function.
"""

from bisect import bisect_left
from collections import Counter
from decimal import Decimal
from typing import Final

import msgspec

from vosd.base.histogram import Histogram
from vosd.base.money import ZERO
from vosd.cdr.record import UNSENT_REASONS, VENDOR, CallRecord, is_in_vain

DELAYS_MS: Final = (50, 100, 200, 500, 1_000, 2_000, 3_000, 5_000, 8_000, 12_000, 20_000)
SETUPS_MS: Final = (200, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 20_000, 30_000, 45_000, 60_000, 90_000, 120_000)
PREFIXES_MAX: Final = 2_000
"""Prefixes of rates whose calls are counted on their own, until they are read; the others count in sums of all."""
TALKS_MS: Final = (1_000, 6_000, 15_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_800_000, 3_600_000, 7_200_000)


class Traded(msgspec.Struct, gc=False):
    """Income and cost of charged calls, without tax; a struct, whose construction calls no function of Python."""

    calls: int = 0
    income: Decimal = ZERO
    """Charges of the highest account above each call: its last agent, else the customer."""
    cost: Decimal = ZERO


class CallTotals:
    """Counts of ended calls; those that were refused without a record are in ``Notices.unrecorded``."""

    def __init__(self) -> None:
        self.reasons: Counter[str] = Counter()
        """By the text of the end reason."""
        self.codes: Counter[int] = Counter()
        """Attempts by the final status of the gateway, 0 = none: it was silent, rang in vain or was cancelled."""
        self.post_dial_delays = Histogram(DELAYS_MS)
        """From the INVITE to the first 18x or 200 that was passed on."""
        self.setups = Histogram(SETUPS_MS)
        """From the INVITE to the answer that was passed on."""
        self.durations = Histogram(TALKS_MS)
        """From the answer to the end."""
        self.traded: dict[tuple[str, str], Traded] = {}
        """By the currencies of income and cost; the same one twice where there is only one of them."""
        self.traded_by_prefix: dict[tuple[str, str, str], Traded] = {}
        """Likewise, by the prefix of the customer's rate as well; the alarms take it out each minute."""

    def note(self, record: CallRecord) -> None:
        """Count an ended call; of the record of an answer in vain, whose call has another one, count the cost alone."""
        is_call = record.customer_account is not None or not record.is_cost_of_another
        self.reasons[record.end_reason] += is_call
        for attempt in record.attempts:
            was_sent = attempt.code or attempt.pdd_ms is not None or attempt.reason not in UNSENT_REASONS
            if was_sent and not is_in_vain(attempt.reason, record.end_reason, record.answered_at):
                self.codes[attempt.code] += 1
        if record.pdd_ms is not None:
            seen = self.post_dial_delays
            seen.counts[bisect_left(seen.bounds, record.pdd_ms)] += 1
            seen.total_ms += record.pdd_ms
        if record.answered_at is not None:
            seen, setup_ms = self.setups, record.answered_at - record.started_at
            seen.counts[bisect_left(seen.bounds, setup_ms)] += 1
            seen.total_ms += setup_ms
            seen = self.durations
            seen.counts[bisect_left(seen.bounds, record.hold_time_ms)] += 1
            seen.total_ms += record.hold_time_ms
        if record.charges:
            income = cost = ZERO
            brought_in = paid_in = None
            for each in record.charges:
                if each.role == VENDOR:
                    cost, paid_in = each.fee, each.currency
                else:  # an agent stands behind its customer
                    income, brought_in = each.fee, each.currency
            pair = brought_in or paid_in or "", paid_in or brought_in or ""
            if pair not in self.traded:
                self.traded[pair] = Traded()
            sums = self.traded[pair]
            sums.calls += is_call
            sums.income += income
            sums.cost += cost
            if record.rate_prefix is not None:
                key = record.rate_prefix, *pair
                by_prefix = self.traded_by_prefix
                if key not in by_prefix:
                    if len(by_prefix) >= PREFIXES_MAX:
                        return
                    by_prefix[key] = Traded()
                sums = by_prefix[key]
                sums.calls += is_call
                sums.income += income
                sums.cost += cost
