"""The view cdr_report, the oldest program that works with a schema, and indexes of Call-IDs by their first characters.

Documents of calls are packed from this version on, in the same columns.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None
compatible_with = "0019"

IN_MYSQL: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}
INDEXED = {"cdr_sip_in": "sip_call_id_in", "cdr_sip_out": "sip_call_id_out"}
OF_CALL = (
    "export_seq", "node", "started_at", "ringing_at", "answered_at", "acknowledged_at", "vendor_answered_at",
    "ended_at", "mapping_gateway", "routing_gateway", "caller_in", "callee_in", "caller_out", "callee_out",
    "callee_billing", "forward_prefix", "routing_number", "source_address", "destination_address", "codec", "pdd_ms",
    "hold_time_ms", "hold_time_s", "hangup_source", "end_reason", "sip_code", "q850_cause", "reason_text",
    "customer_account", "currency", "billed_seconds",
)  # fmt: skip
OF_VENDOR = ("vendor_account", "vendor_currency", "vendor_billed_seconds")
AGENTS = 3


def is_sqlite() -> bool:
    return op.get_bind().dialect.name == "sqlite"


def money(column: str) -> str:
    """Return the amount of a column: MySQL has decimals, SQLite integers of 1e-8, shown as text with eight decimals."""
    if not is_sqlite():
        return column
    sign = f"CASE WHEN {column} < 0 THEN '-' ELSE '' END"
    digits = f"printf('%s%d.%08d', {sign}, abs({column}) / 100000000, abs({column}) % 100000000)"
    return f"CASE WHEN {column} IS NULL THEN NULL ELSE {digits} END"


def identity() -> str:
    """Return the call id as text."""
    places = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
    parts = [f"SUBSTR(HEX(cdr.call_id), {start}, {length})" for start, length in places]
    joined = " || '-' || ".join(parts) if is_sqlite() else f"CONCAT_WS('-', {', '.join(parts)})"
    return f"LOWER({joined})"


def of_charge(party: str, *columns: str) -> list[str]:
    return [
        f"{money(f'{party}.{name}') if name in {'unit_price', 'fee', 'tax'} else f'{party}.{name}'} AS {party}_{name}"
        for name in columns
    ]


def report() -> str:
    agents = [f"agent{level}" for level in range(1, AGENTS + 1)]
    selected = [
        f"{identity()} AS call_id",
        *(f"cdr.{name} AS {name}" for name in OF_CALL),
        *(f"{money(f'cdr.{name}')} AS {name}" for name in ("fee", "tax")),
        "cdr.rate_group AS rate_group, cdr.rate_prefix AS rate_prefix, cdr.rate_area AS rate_area",
        *of_charge("customer", "unit_price", "price_per"),
        *(f"cdr.{name} AS {name}" for name in OF_VENDOR),
        *(f"{money(f'cdr.{name}')} AS {name}" for name in ("cost", "cost_tax")),
        *of_charge("vendor", "rate_group"),
        "cdr.vendor_rate_prefix AS vendor_rate_prefix",
        *of_charge("vendor", "unit_price", "price_per", "earned"),
    ]
    for agent in agents:
        selected += of_charge(agent, "account", "currency", "rate_group", "rate_prefix", "unit_price", "price_per")
        selected += of_charge(agent, "billed_seconds", "fee", "tax")
    attempts = "(SELECT COUNT(*) FROM cdr_attempt WHERE cdr_attempt.call_id = cdr.call_id)"
    selected.append(f"{attempts} AS attempts")
    corrected = "(SELECT COALESCE(MAX(corrected), 0) FROM cdr_charge WHERE cdr_charge.call_id = cdr.call_id)"
    selected.append(f"{corrected} AS corrected")
    parties = [("customer", "customer", 0), ("vendor", "vendor", 0)]
    parties += [(agent, "agent", level) for level, agent in enumerate(agents, start=1)]
    joins = [
        f"LEFT JOIN cdr_charge {name}"
        f" ON {name}.call_id = cdr.call_id AND {name}.role = '{role}' AND {name}.level = {level}"
        for name, role, level in parties
    ]
    rights = "" if is_sqlite() else "SQL SECURITY INVOKER "
    body = f"{', '.join(selected)} FROM cdr {' '.join(joins)}"
    return f"CREATE {rights}VIEW cdr_report AS SELECT {body}"


def upgrade() -> None:
    reindex("({column}(20))")
    if not sa.inspect(op.get_bind()).has_table("schema_compatibility"):
        op.create_table(
            "schema_compatibility",
            sa.Column(
                "oldest", sa.String(32), primary_key=True, comment="the oldest schema whose programs work with this"
            ),
            **IN_MYSQL,
        )
    op.execute(sa.text("DROP VIEW IF EXISTS cdr_report"))
    op.get_bind().exec_driver_sql(report())


def downgrade() -> None:
    op.execute(sa.text("DROP VIEW cdr_report"))
    op.drop_table("schema_compatibility")
    reindex("({column})")


def reindex(columns: str) -> None:
    """Make the indexes anew while calls are booked; SQLite indexes whole values only."""
    if is_sqlite():
        return
    changes = [
        f"DROP INDEX {name}, ADD INDEX {name} {columns.format(column=column)}" for name, column in INDEXED.items()
    ]
    op.execute(sa.text(f"ALTER TABLE cdr {', '.join(changes)}, ALGORITHM=INPLACE, LOCK=NONE"))
