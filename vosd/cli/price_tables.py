"""Tables of what calls cost before and after, as ``vosd rerate`` and ``vosd rate cdr-file`` print them."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from vosd.cli import output

_SUMS: Final = ("calls", "differ", "without_rate", "before", "before_without_rate", "after", "difference")


def say_other_rates(groups: Sequence[str]) -> None:
    """Say which rate groups gateways or phones of an account name, if any do."""
    if groups:
        said = f"gateways or phones of this account have rates of {', '.join(groups)}: their calls may cost otherwise"
        output.line(f"{said}, see vosd route explain")


def show_differences(answer: Mapping[str, Any], before: str, after: str) -> None:
    """Print the sums by account and prefix and the calls that differ most; ``before`` and ``after`` are titles."""
    titles = {
        "before": before, "after": after, "without_rate": "without rate",
        "before_without_rate": f"{before} without rate",
    }  # fmt: skip
    sums = tuple(titles.get(name, name) for name in _SUMS)
    output.line("")
    _table(("account", "role", "currency"), sums, answer["accounts"], empty="no charges")
    if answer["prefixes"]:
        output.line("")
        _table(("prefix", "role", "currency"), sums, answer["prefixes"], empty="")
    if answer["greatest"]:
        output.line("")
        columns = [titles.get(name, name) for name in answer["greatest"][0]]
        output.table(columns, [[*each.values()] for each in answer["greatest"]], empty="")
    if answer["prefixes_differ"] > len(answer["prefixes"]):
        output.remark(f"of {answer['prefixes_differ']} prefixes that differ; --top N lists more")


def show_prices(answer: Mapping[str, Any]) -> None:
    """Print the sums by account where there is nothing to compare."""
    columns = ("account", "role", "currency", "calls", "without_rate", "after")
    rows = [[row[name] for name in columns] for row in answer["accounts"]]
    output.line("")
    output.table(("account", "role", "currency", "calls", "without rate", "price with tax"), rows, empty="no calls")


def _table(own: Sequence[str], sums: Sequence[str], rows: Sequence[Mapping[str, Any]], *, empty: str) -> None:
    output.table((*own, *sums), [[row[name] for name in (*own, *_SUMS)] for row in rows], empty=empty)
