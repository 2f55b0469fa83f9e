"""``vosd status --gateways``: every gateway of the running switch."""

import asyncio
from typing import Any, Final

from vosd.cli import output
from vosd.cli.command import Invocation
from vosd.cli.output import Column

_ON_SCREEN: Final = {
    "gateway": Column("gateway", narrowest=12),
    "kind": Column("kind", rank=1),
    "state": Column("state"),
    "calls": Column("calls", is_figure=True),
    "attempts": Column("tries", rank=2, is_figure=True),
    "asr": Column("ASR %", is_figure=True),
    "acd_s": Column("ACD s", is_figure=True),
    "pdd_ms": Column("PDD ms", is_figure=True),
    "cost": Column("cost/min", rank=3, is_figure=True),
    "currency": Column("in", rank=4),
}


def show_gateways(invocation: Invocation, *, as_json: bool) -> None:
    """Print every gateway: its state, its calls and their limit, and its figures of the last hour."""
    rows: list[dict[str, Any]] = asyncio.run(invocation.running_switch().ask("gateways"))
    if as_json:
        output.document(rows)
        return
    blocked = {row["gateway"]: row["blocked"] for row in rows if row["blocked"] is not None}
    for row in rows:
        row["state"] = _state(row)
        row["calls"] = f"{row['calls']}/{'-' if row['max_concurrent'] is None else row['max_concurrent']}"
    cells = [[row[key] for key in _ON_SCREEN] for row in rows]
    output.listing([*_ON_SCREEN.values()], cells, output.columns_of_screen() or output.UNFOLDED, empty="no gateways")
    for name, why in blocked.items():
        output.remark(f"{name} is blocked {why}")
    output.remark("figures of the last hour, or since the switch was started; cost: average of what a minute cost")


def _state(row: dict[str, Any]) -> str:
    """Return a state with its duration, past or remaining."""
    if row["since_s"] is not None:
        return f"{row['state']} for {row['since_s']} s"
    if row["rest_s"] is not None:
        return f"{row['state']}, {row['rest_s']} s left"
    return str(row["state"])
