"""The reports over sums of calls: what each is divided by, and its figures.

A figure that has no meaning is None, never 0: there is no share of no attempts, and no margin on no income.
"""

from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from itertools import pairwise
from typing import Any, Final, NamedTuple

from vosd.base.money import ZERO
from vosd.traffic.counted import BANDS, TrafficKind
from vosd.traffic.live_counts import PeakSide
from vosd.traffic.spans import Grouping

Sums = Mapping[str, Any]
"""Sums by the name that a report gives them."""
REACHED: Final = "reached"
"""Calls that were answered, have rung, or were refused by the called party itself: busy, rejected."""
READ_MAX: Final = 1_500_000
"""Most calls that are read one by one for a report."""
DIGITS_MAX: Final = 15
"""Longest prefixes by which a report is made."""
OF_NUMBERS: Final = ("callee", "caller", "callee_digits", "caller_digits")
"""Criteria about numbers: sums have the first digits of one of them, else the calls themselves are read (ADR 189)."""
CRITERIA: Final = ("account", "below", "vendor", "gateway", "area", "reason", "answered", *OF_NUMBERS)
"""Criteria of the calls of a report, as orders name them."""
_NOT_OF: Final[Mapping[TrafficKind, frozenset[str]]] = {
    TrafficKind.ATTEMPT: frozenset({"vendor", "reason", "answered"}),
    TrafficKind.AGENT: frozenset({"vendor", "reason", "answered"}),
}
"""Criteria that kinds of sums do not know."""
SERVED_BY: Final[Mapping[str, tuple[str, str]]] = {
    "vendor": ("vosd report profit-vendors --vendor", "vosd cdr list --vendor"),
    "gateway": ("vosd report mapping-gateways --gateway", "vosd cdr list --gateway"),
    "area": ("vosd report areas --area", "vosd cdr list --area"),
    "reason": ("vosd report failures --reason", "vosd cdr list --reason"),
    "answered": ("vosd report profit-gateways --answered", "vosd cdr list --answered"),
    "callee": ("vosd report durations --callee", "vosd cdr list --callee"),
    "caller": ("vosd report durations --caller", "vosd cdr list --caller"),
    "callee_digits": ("vosd report durations --callee-digits", "vosd cdr list --callee"),
    "caller_digits": ("vosd report durations --caller-digits", "vosd cdr list --caller"),
}
"""Orders that know a criterion that other reports do not: a report, and the list of calls."""
_CENT: Final = Decimal("0.01")
_TENTH: Final = Decimal("0.1")
_THOUSANDTH: Final = Decimal("0.001")


class FigureKind(StrEnum):
    """Notations of figures."""

    COUNT = "count"
    SECONDS = "seconds"
    PERCENT = "percent"
    MONEY = "money"


class ReportFigure(NamedTuple):
    """A figure of a report."""

    kind: FigureKind
    meaning: str
    needs: tuple[str, ...]
    """Sums that it is made of."""
    of: Callable[[Sums], Any]
    currency: str = ""
    """Name of the currency that it is in, of money."""
    is_inside: bool = False
    """Whether it says what vendors cost: agents and customers do not see it."""


def percent(part: Decimal | int, whole: Decimal | int) -> Decimal | None:
    """Return a share in percent with two decimals, half up; None of nothing."""
    return None if not whole else (Decimal(part) * 100 / Decimal(whole)).quantize(_CENT, ROUND_HALF_UP)


def mean_s(total_ms: int, count: int, unit: Decimal = _THOUSANDTH) -> Decimal | None:
    """Return the mean of milliseconds in seconds, half up; None of nothing."""
    return None if not count else (Decimal(total_ms) / count / 1000).quantize(unit, ROUND_HALF_UP)


def _mean_loss(side: str, meaning: str, *, is_inside: bool = False) -> ReportFigure:
    known, lost = f"{side}_measured", f"{side}_lost"
    return ReportFigure(
        FigureKind.PERCENT, f"mean loss of RTP packets from {meaning}, of the calls in {side}_measured", (known, lost),
        lambda sums: percent(sums[lost], sums[known] * 1_000), is_inside=is_inside,
    )  # fmt: skip


def _count(name: str, meaning: str, *, is_inside: bool = False) -> ReportFigure:
    return ReportFigure(FigureKind.COUNT, meaning, (name,), lambda sums: sums[name], is_inside=is_inside)


def _amount(name: str, meaning: str, currency: str = "currency", *, is_inside: bool = False) -> ReportFigure:
    return ReportFigure(FigureKind.MONEY, meaning, (name,), lambda sums: sums[name], currency, is_inside)


def _profit(sums: Sums) -> Decimal:
    return Decimal(sums["income"] - sums["cost"])


_OF_CALLS: Final = "answered calls by hold time in seconds: "
FIGURES: Final[Mapping[str, ReportFigure]] = {
    "calls": _count("calls", "calls with a CDR, answered or not; in agents those that the agent is charged for"),
    "without_cdr": _count("without_cdr", "attempts that left no CDR"),
    "attempts": ReportFigure(
        FigureKind.COUNT, "both: calls with a CDR, and attempts without one", ("calls", "without_cdr"),
        lambda sums: sums["calls"] + sums["without_cdr"],
    ),
    "unknown": _count("unknown", "INVITEs of unknown sources without a CDR, repetitions included", is_inside=True),
    "answered": _count("answered", "answered calls"),
    "asr": ReportFigure(
        FigureKind.PERCENT, "answered attempts of all, those without a CDR included",
        ("calls", "answered", "without_cdr", "answered_without"),
        lambda sums: percent(sums["answered"] + sums["answered_without"], sums["calls"] + sums["without_cdr"]),
    ),
    "ner": ReportFigure(
        FigureKind.PERCENT,
        "attempts that reached the called party: answered, rang, busy or rejected; those without a CDR included",
        ("calls", REACHED, "without_cdr", "reached_without"),
        lambda sums: percent(sums[REACHED] + sums["reached_without"], sums["calls"] + sums["without_cdr"]),
    ),
    "response": ReportFigure(
        FigureKind.PERCENT, "attempts with ringing or an answer, those without a CDR included",
        ("calls", "progressed", "without_cdr", "answered_without", "rang_without"),
        lambda sums: percent(
            sums["progressed"] + sums["answered_without"] + sums["rang_without"], sums["calls"] + sums["without_cdr"]
        ),
    ),
    "acd": ReportFigure(
        FigureKind.SECONDS, "mean hold time of answered calls in seconds", ("hold_ms", "answered"),
        lambda sums: mean_s(sums["hold_ms"], sums["answered"], _TENTH),
    ),
    "pdd": ReportFigure(
        FigureKind.SECONDS, "mean time from the INVITE to the first ringing in seconds", ("pdd_ms", "pdd_calls"),
        lambda sums: mean_s(sums["pdd_ms"], sums["pdd_calls"]),
    ),
    "pdd_median": ReportFigure(
        FigureKind.SECONDS, "median of that; exact to 50 ms below 1 s, to 100 ms below 3 s, to 500 ms below 10 s", (),
        lambda sums: sums["waits"][0],
    ),
    "pdd_95": ReportFigure(
        FigureKind.SECONDS, "95 of 100 callers waited no longer; exact as the median", (), lambda sums: sums["waits"][1]
    ),
    "peak_concurrent": ReportFigure(
        FigureKind.COUNT, "most calls at a time, those in set-up included", (), lambda sums: sums["peak"][0]
    ),
    "peak_cps": ReportFigure(
        FigureKind.COUNT, "most calls that began within a second", (), lambda sums: sums["peak"][1]
    ),
    "setup": ReportFigure(
        FigureKind.SECONDS, "mean time from the INVITE to the answer in seconds", ("setup_ms", "answered"),
        lambda sums: mean_s(sums["setup_ms"], sums["answered"]),
    ),
    "caller_loss": _mean_loss("caller", "callers"),
    "caller_measured": _count("caller_measured", "calls whose loss from the caller is known"),
    "callee_loss": _mean_loss("callee", "vendors", is_inside=True),
    "callee_measured": _count("callee_measured", "calls whose loss from the vendor is known", is_inside=True),
    "hold_s": _count("hold_s", "hold time in seconds, each call by the hold-time rule"),
    "minutes": ReportFigure(
        FigureKind.SECONDS, "hold time in minutes", ("hold_ms",),
        lambda sums: (Decimal(sums["hold_ms"]) / 60_000).quantize(_CENT, ROUND_HALF_UP),
    ),
    "billed_seconds": _count("billed_seconds", "seconds that the fees cover"),
    "vendor_billed_seconds": _count("vendor_billed_seconds", "seconds that the costs cover", is_inside=True),
    "fee": _amount("fee", "charges without tax"),
    "tax": _amount("tax", "tax on them"),
    "gross": ReportFigure(
        FigureKind.MONEY, "charges with tax", ("fee", "tax"), lambda sums: sums["fee"] + sums["tax"], "currency"
    ),
    "minimum": _amount("minimum", "charged for minimum consumption, by the dates of the entries", is_inside=True),
    "corrections": _amount(
        "corrections", "corrections made in the time, with tax; fees of the calls include them", is_inside=True,
    ),
    "cost": _amount("cost", "what vendors charge, without tax", "vendor_currency", is_inside=True),
    "cost_tax": _amount("cost_tax", "tax on the cost", "vendor_currency", is_inside=True),
    "income": _amount(
        "income", "what is paid to the installation without tax: by the last agent, else by the customer",
        "income_currency", is_inside=True,
    ),
    "profit": ReportFigure(
        FigureKind.MONEY, "income less cost, where both are in one currency", ("income", "cost"), _profit,
        "income_currency", is_inside=True,
    ),
    "margin": ReportFigure(
        FigureKind.PERCENT, "profit of the income", ("income", "cost"),
        lambda sums: percent(_profit(sums), sums["income"]), is_inside=True,
    ),
    "agent_income": _amount("income", "what those right below the agent pay it, without tax", "income_currency"),
    "agent_profit": ReportFigure(
        FigureKind.MONEY, "that less what it pays, where both are in one currency", ("income", "fee"),
        lambda sums: sums["income"] - sums["fee"], "income_currency",
    ),
    "below_cost": _count("below_cost", "calls that cost more than they brought", is_inside=True),
    "loss": _amount("loss", "what those calls cost more than they brought", "income_currency", is_inside=True),
    "offered": _count("offered", "attempts at the gateway", is_inside=True),
    "taken": _count("taken", "attempts that it answered", is_inside=True),
    "taken_share": ReportFigure(
        FigureKind.PERCENT, "attempts that it answered, of all", ("offered", "taken"),
        lambda sums: percent(sums["taken"], sums["offered"]), is_inside=True,
    ),
    "failed_over": _count("failed_over", "attempts after which another gateway was tried", is_inside=True),
    **{
        f"band_{number}": _count(f"band_{number}", _OF_CALLS + shown)
        for number, shown in enumerate(
            [
                "0",
                *(f"{low + 1} to {high}" for low, high in pairwise(BANDS)),
                f"above {BANDS[-1]}",
            ]
        )
    },
    "short": ReportFigure(
        FigureKind.COUNT, f"answered calls of {BANDS[1]} seconds or less", ("band_0", "band_1"),
        lambda sums: sums["band_0"] + sums["band_1"], is_inside=True,
    ),
    "short_share": ReportFigure(
        FigureKind.PERCENT, "short calls of all answered ones; 10 to 25 are usual where people call people",
        ("band_0", "band_1", "answered"),
        lambda sums: percent(sums["band_0"] + sums["band_1"], sums["answered"]), is_inside=True,
    ),
    "share": ReportFigure(
        FigureKind.PERCENT, "attempts of all unanswered ones of the span", ("calls", "without_cdr"),
        lambda sums: percent(sums["calls"] + sums["without_cdr"], sums["of_span"]),
    ),
}  # fmt: skip


class Part(NamedTuple):
    """Sums of one kind that a report is made of."""

    kind: TrafficKind
    names: Mapping[str, str] = {}
    """Names of the report for measures that are named otherwise."""


class Report(NamedTuple):
    """A report: its rows by what calls have in common, and the figures of each."""

    name: str
    meaning: str
    by: tuple[str, ...]
    figures: tuple[str, ...]
    order: str = ""
    """ReportFigure by which rows are sorted; empty = by what they have in common."""
    is_rising: bool = False
    """Whether the lowest comes first."""
    most: int | None = None
    """Rows of a span; None = all."""
    account: str = "customer_account"
    """Name that ``--account`` is compared with."""
    only: Mapping[str, str] = {}
    """Values that calls must have."""
    parts: tuple[Part, ...] = (Part(TrafficKind.CALL),)
    beside: tuple[str, ...] = ()
    """Sums that are not of calls: the caller of ``table_of`` gives lines of them."""
    leaves_out_answered: bool = False
    peaks: PeakSide | None = None
    """Objects whose peaks it has; gateways are those of its first column."""
    group: str = "whole"
    """Spans into which it is divided where the order says none."""
    has_fives: bool = False
    """Whether it can be divided into five minutes: its parts are kinds that are kept by them."""
    has_prefixes: bool = False
    """Whether it can be made of some numbers and by prefixes of them, of the calls themselves."""
    settles: str = ""
    """Name that not all kinds of its sums know: those without it count with the other calls of their row."""
    is_inside: bool = False
    """Whether agents and customers see nothing of it."""
    shows_owner: bool = False
    """Whether it has the name of the customer's account and its agent, as ``OWNER`` says."""

    @property
    def groups(self) -> tuple[str, ...]:
        """Spans into which it can be divided."""
        return GROUPS if self.has_fives else SUMMED_GROUPS

    @property
    def criteria(self) -> tuple[str, ...]:
        """Criteria of its calls, of ``CRITERIA``."""
        unknown = {name for part in self.parts for name in _NOT_OF.get(part.kind, ())}
        unknown |= {*(() if self.has_prefixes else OF_NUMBERS), *(["answered"] * self.leaves_out_answered)}
        return tuple(name for name in CRITERIA if name not in unknown)


GROUPS: Final = tuple(each.value for each in Grouping)
SUMMED_GROUPS: Final = tuple(each for each in GROUPS if each != Grouping.FIVE_MINUTES.value)
OWNER: Final[Mapping[str, str]] = {
    "name": "owner of the account, in words, as configured now",
    "agent": "account above it, as configured now; empty = none",
}
"""Columns about an account, with the meaning of each."""
BESIDE_CALLS: Final = ("minimum", "corrections")
"""Sums of the ledger that an account has beside those of its calls."""
_WITHOUT: Final = Part(
    TrafficKind.NO_CDR,
    {"without_cdr": "calls", "answered_without": "answered", "rang_without": "progressed", "reached_without": REACHED},
)
_ALL_ATTEMPTS: Final = (Part(TrafficKind.CALL), _WITHOUT)
_UNKNOWN: Final = Part(TrafficKind.UNKNOWN, {"unknown": "calls"})
_QUALITY: Final = ("calls", "without_cdr", "answered", "asr", "ner", "acd", "pdd")
_WAITS: Final = ("pdd_median", "pdd_95")
_MONEY: Final = ("fee", "tax", "cost", "income", "profit", "margin")
_MARGINS: Final = ("calls", "answered", "minutes", "income", "cost", "profit", "margin", "below_cost", "loss")
_OF_CUSTOMERS: Final = ("calls", "without_cdr", "answered", "asr", "billed_seconds", "fee", "gross")
_REPORTS: Final = (
    Report(
        "revenue", "What accounts were charged, and what their calls brought.", ("customer_account",),
        ("calls", "answered", "hold_s", "billed_seconds", "fee", "tax", "gross", "minimum", "corrections", "cost",
         "income", "profit"),
        group="day", beside=BESIDE_CALLS, shows_owner=True,
    ),
    Report(
        "phones", "What calls of each phone cost.", ("mapping_gateway", "customer_account"),
        ("calls", "answered", "hold_s", "billed_seconds", "fee", "tax", "gross"), only={"billing_method": "phone"},
    ),
    Report(
        "areas", "Calls by destination.", ("area", "rate_type"), (*_QUALITY, "hold_s", "billed_seconds", *_MONEY),
        parts=_ALL_ATTEMPTS,
    ),
    Report(
        "account-areas", "Calls of each account by destination.", ("customer_account", "area", "rate_type"),
        (*_QUALITY, "hold_s", "billed_seconds", *_MONEY), parts=_ALL_ATTEMPTS,
    ),
    Report(
        "gateway-areas", "Calls by both gateways and destination.",
        ("mapping_gateway", "routing_gateway", "area", "rate_type"),
        (*_QUALITY, "hold_s", *_MONEY), is_inside=True, parts=_ALL_ATTEMPTS,
    ),
    Report(
        "mapping-gateways", "Calls of each customer's gateway.", ("mapping_gateway", "customer_account"),
        (*_QUALITY, *_WAITS, "response", "setup", "caller_loss", "caller_measured", "peak_cps", "peak_concurrent",
         "hold_s", "billed_seconds", "fee", "tax", "income"),
        parts=_ALL_ATTEMPTS, peaks=PeakSide.MAPPING,
    ),
    Report(
        "routing-gateways", "What each vendor's gateway did with the calls that were offered to it.",
        ("routing_gateway", "vendor_account"),
        ("offered", "taken", "taken_share", "failed_over", *_QUALITY, *_WAITS, "callee_loss", "callee_measured",
         "peak_cps", "peak_concurrent", "hold_s", "vendor_billed_seconds", "cost", "cost_tax"),
        is_inside=True, peaks=PeakSide.ROUTING, settles="vendor_account",
        parts=(*_ALL_ATTEMPTS,
               Part(TrafficKind.ATTEMPT, {"offered": "calls", "taken": "answered", "failed_over": "failed_over"})),
    ),
    Report(
        "performance", "Quality over time.", (),
        (*_QUALITY, "response", "setup", "minutes", "caller_loss", "caller_measured", "callee_loss", "callee_measured",
         "peak_concurrent", "unknown"),
        group="hour", has_fives=True,
        parts=(*_ALL_ATTEMPTS, _UNKNOWN), peaks=PeakSide.SWITCH,
    ),
    Report(
        "durations", "Answered calls by how long they lasted.", (),
        ("calls", "answered", *(f"band_{number}" for number in range(len(BANDS) + 1)), "acd"), group="day",
        has_fives=True, has_prefixes=True,
    ),
    Report(
        "false-answers",
        "Answered calls that were short, by vendor and destination, the most first: answers that no one gave?",
        ("routing_gateway", "area"),
        ("calls", "answered", "short", "short_share", "band_0", "band_1", "acd", "pdd", "setup", "cost"),
        order="short", is_inside=True,
    ),
    Report(
        "failures", "Why calls were not answered.", ("end_reason", "sip_code", "hangup_source", "routing_gateway"),
        ("attempts", "calls", "without_cdr", "share"), order="attempts", leaves_out_answered=True, is_inside=True,
        parts=_ALL_ATTEMPTS,
    ),
    Report(
        "daily", "One row a day.", (), (*_QUALITY, "minutes", *_MONEY, "peak_concurrent", "unknown"), group="day",
        parts=(*_ALL_ATTEMPTS, _UNKNOWN), peaks=PeakSide.SWITCH,
    ),
    Report(
        "top-customers", "The customers whose calls were billed for the most seconds.", ("customer_account",),
        _OF_CUSTOMERS, order="billed_seconds", most=10, parts=_ALL_ATTEMPTS, shows_owner=True,
    ),
    Report(
        "top-revenue", "The customers whose calls were charged most; currencies are not converted.",
        ("customer_account",), _OF_CUSTOMERS, order="fee", most=10, parts=_ALL_ATTEMPTS, shows_owner=True,
    ),
    Report(
        "profit", "What calls brought and cost, by customer, vendor and destination; losses first.",
        ("customer_account", "vendor_account", "area"),
        _MARGINS, order="profit", is_rising=True, is_inside=True,
    ),
    *(
        Report(
            f"profit-{of}", f"Margin and calls that were sold below cost, by {meaning}; losses first.", by,
            _MARGINS, order="profit", is_rising=True, is_inside=True, account=account,
        )
        for of, meaning, by, account in (
            ("customers", "customer", ("customer_account",), "customer_account"),
            ("vendors", "vendor", ("vendor_account",), "vendor_account"),
            ("gateways", "vendor's gateway", ("routing_gateway", "vendor_account"), "vendor_account"),
            ("areas", "destination", ("area", "rate_type"), "customer_account"),
        )
    ),
    Report(
        "profit-hours", "Margin and calls that were sold below cost, by time.", (), _MARGINS, is_inside=True,
        group="hour",
    ),
    Report(
        "agents", "What agents are paid and pay for the calls below them; calls without a charge are not counted.",
        ("party", "customer_account"),
        ("calls", "answered", "billed_seconds", "fee", "tax", "agent_income", "agent_profit"), account="party",
        parts=(Part(TrafficKind.AGENT),),
    ),
)  # fmt: skip
REPORTS: Final[Mapping[str, Report]] = {report.name: report for report in _REPORTS}
"""The reports over sums of calls, by name."""


def median_and_95(waits: Mapping[int, int]) -> tuple[Decimal | None, Decimal | None]:
    """Return the median and the 95th percentile, in seconds, of waits in milliseconds with how often each occurred."""
    count = sum(waits.values())
    if not count:
        return None, None
    return _ranked(waits, (count + 1) // 2), _ranked(waits, -(-count * 95 // 100))


def _ranked(waits: Mapping[int, int], rank: int) -> Decimal:
    passed = 0
    for wait_ms in sorted(waits):
        passed += waits[wait_ms]
        if passed >= rank:
            return Decimal(wait_ms) / 1000
    return ZERO
