"""The table of all metrics, generated from their declarations: ``python tests/manuals/metrics.py``.

The output is ``docs/metrics.md``; a test compares the two.
"""

import sys
from typing import Final

from vosd.metrics.declared import METRICS, PROCESSES, Declared

_INTRODUCTION: Final = """\
# Metrics

This page is generated: `python tests/manuals/metrics.py > docs/metrics.md`.

`http://LISTEN/metrics` has these figures in the form of Prometheus where `metrics.listen` is set; how they are watched
is in [monitoring.md](operations/monitoring.md#monitoring). A histogram NAME has `NAME_bucket`, `NAME_sum` and
`NAME_count`, a summary the latter two. Counters and histograms begin at zero with the process. Names and labels stay as
they are: new ones may be added.

| metric | kind | labels | meaning |
| --- | --- | --- | --- |
"""

_RATIOS: Final = """
## Ratios

RFC 6076 and ITU-T E.425 define these for a time that is asked for, here five minutes. `R{...}` stands for
`sum by (gateway, kind) (rate(vosd_gateway_attempts_total{...}[5m]))`:

| ratio | is | expression |
| --- | --- | --- |
| ASR (E.425) | answered attempts by all | `R{outcome="answered"} / R` |
| SER (RFC 6076, 4.6) | the same without redirected ones | `R{outcome="answered"} / R{outcome!="redirected"}` |
| SEER (4.7) | answered, or refused by the called user | `R{outcome=~"answered\\|user"} / R{outcome!="redirected"}` |
| ISA (4.8) | no response, 408, 500, 503, 504 | `R{outcome="ineffective"} / R` |

An attempt that the switch has ended has no final status, which is code 0 in the CDR and in `vosd_attempts_total`. Its
outcome is that of the call: `cancelled` where the caller hung up or another telephone answered, took or refused the
call, `user` where it rang in vain, and `ineffective` where there was no response. An answer in vain (`Late Answer`,
`Forked`) is no attempt of its own, and the CDR with its cost no call; the cost counts.

ACD is the rate of `vosd_gateway_call_duration_seconds_sum` by that of `_count`, PDD (SRD in RFC 6076, 4.3) the same of
`vosd_gateway_post_dial_delay_seconds`. NER (E.425) needs the Q.850 cause of each refusal, so the switch computes it:
`vosd_gateway_ner_ratio`, beside ASR, ACD and PDD over the window by which routing judges gateways
(`SS_GATEWAY_QUALITY_RESERVE_TIME`). Those four do not begin anew with a restart.
"""

_OF_PROCESSES: Final = """
## Processes

Every client library of Prometheus has `process_cpu_seconds_total`, `process_resident_memory_bytes`,
`process_virtual_memory_bytes`, `process_open_fds`, `process_max_fds` and `process_start_time_seconds`. Here they are of
"""


def manual() -> str:
    """Return the page."""
    rows = "".join(_row(metric) for metric in METRICS)
    processes = ", ".join(
        f"{meaning} ({f'`{prefix}_` in front' if prefix else 'without prefix'})"
        for prefix, meaning in PROCESSES.items()
    )
    return f"{_INTRODUCTION}{rows}{_RATIOS}{_OF_PROCESSES}{processes}.\n"


def _row(metric: Declared) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{metric.name}` | {metric.kind.value} | {labels} | {metric.meaning} |\n"


if __name__ == "__main__":
    sys.stdout.write(manual())
