"""Examples for the OpenAPI document: bodies and answers are put together from examples of their fields."""

import re
from collections.abc import Mapping
from typing import Any, Final

_WARNING: Final = "/etc/vosd/vosd.yaml:4: warning: sip.listen: expected a restart: the change takes effect after it"
_MOMENT: Final = "2026-03-01T12:00:00Z"
_CALL: Final = "0196f3a2-6c1e-7b52-9d0e-3f6f8f0c2a11"

FIELDS: Final[Mapping[str, tuple[Any, ...]]] = {
    "AccountBalance.contact": ("Ann Smith, +44 20 7946 0000",),
    "AccountBalance.name": ("The Shop Ltd",),
    "AlarmRow.subject": ("carrier-a",),
    "AllowedOperation.path": ("/accounts/{name}",),
    "AuditSheet.source": ("192.0.2.10",),
    "AuditSheet.subject": ("shop",),
    "BackupEntry.name": ("vosd-20260301T120000Z.zip",),
    "BackupManifest.version": ("1.0.0",),
    "BackupSheet.file": ("/var/lib/vosd/backups/vosd-20260301T120000Z.zip",),
    "CalendarDaySheet.date": ("2026-03-02",),
    "CalendarSpanSheet.begins": ("09:00",),
    "CalendarSpanSheet.decided_by": ("weekday",),
    "CalendarSpanSheet.ends": ("18:00",),
    "CatalogueState.version": ("8c1f2d90a7b3",),
    "ExplainedRoute.lacking": ([],),
    "ForgottenRegistrations.name": ("49301234",),
    "InboundRow.name": ("49301234",),
    "InboundRow.path": (["<sip:198.51.100.7;lr>"],),
    "InboundRow.state": ("registered",),
    "LeftOutSheet.reason": ("its limit of calls is reached",),
    "Member.name": ("configuration/vosd.yaml",),
    "OutboundRow.contact": ("<sip:shop@198.51.100.1:5060>",),
    "OutboundRow.name": ("carrier-a",),
    "OutboundRow.state": ("registered",),
    "ParameterSheet.name": ("SS_SIP_SESSION_TTL",),
    "PersonSheet.name": ("ann",),
    "PersonLink.name": ("ann",),
    "PriceSheet.billing_cycle": (6,),
    "PriceSheet.connection_fee": ("0.00",),
    "PriceSheet.first_duration": (0,),
    "PriceSheet.minimum_charge": ("0.00",),
    "PriceSheet.price_per_minute": ("0.012",),
    "PriceSheet.tax_rate": ("19",),
    "ProblemSheet.file": ("vosd.yaml",),
    "ScheduledReportRow.criteria": ("account acme, reason Busy",),
    "SpanSheet.span": ("2026-03-01",),
    "ScheduledReportRow.every": ("month",),
    "ScheduledReportRow.mail": (["finance@example.com"],),
    "ScheduledReportRow.name": ("revenue",),
    "ScheduledReportRow.report": ("revenue",),
    "ScheduledReportRow.source": ("config/vosd.yaml:31",),
    "timezone": ("Europe/Berlin",),
    "DisputeSheet.reference": ("CN-2026-17",),
    "DisputeSheet.may_become": (["sent", "accepted", "rejected", "settled"],),
    "InvoiceDocument.kind": ("invoice",),
    "InvoiceDocument.number": ("2026-000017",),
    "InvoiceSheet.kind": ("invoice",),
    "InvoiceSheet.number": ("2026-000017",),
    "CreditNoteName.number": ("C2026-000003",),
    "InvoiceDetail.kind": ("invoice",),
    "InvoiceDetail.number": ("2026-000017",),
    "InvoiceParty.address": (["1 High Street", "London"],),
    "InvoiceParty.name": ("The Shop Ltd",),
    "MovementLine.kind": ("payment",),
    "Letter.text": ("# Dispute 17: carrier-2026-03.csv",),
    "ReconciliationSheet.account": ("carrier",),
    "ReloadOutcome.version": ("8c1f2d90a7b3",),
    "RoleDocument.name": ("cashier",),
    "SessionSheet.name": ("ann",),
    "SilencedSource.source": ("198.51.100.7",),
    "StatusSheet.configuration": ("/etc/vosd/vosd.yaml",),
    "StatusSheet.id": ("4e0c6b1d9a7f",),
    "StatusSheet.version": ("1.0.0",),
    "TokenSheet.id": ("5f0c9a1e17b4",),
    "TokenSheet.name": ("crm",),
    "NewToken.id": ("5f0c9a1e17b4",),
    "UsedLink.name": ("ann",),
    "Idempotency-Key": ("invoice-2026-17",),
    "If-Match": ('"3"',),
    "Last-Event-ID": ("5f0c9a1e-17",),
    "account": ("shop",),
    "beginning": ("sh",),
    "containing": ("op",),
    "accounts": (["shop"], 4),
    "action": ("BookPayment",),
    "acts_for": ("agent",),
    "address": ("198.51.100.7",),
    "after": ("5f0c9a1e-17", 1200),
    "agent": ("reseller",),
    "CallSnapshot.state": ("talking",),
    "DatabaseReport.state": ("well",),
    "ChangeSheet.warnings": ([_WARNING],),
    "CustomerSheet.warnings": ([_WARNING],),
    "GatewayRow.addresses": (["198.51.100.7"],),
    "GatewayRow.groups": (["cheap"],),
    "GatewayRow.state": ("up",),
    "PersonSheet.state": ("active",),
    "state": ("Zt4n8Qw2Lr6",),
    "applies": (True,),
    "defined": (True,),
    "figures": ({"calls": 120},),
    "has_password": (True,),
    "has_result": (True,),
    "healthy": (True,),
    "in_force": (True,),
    "ready": (True,),
    "valid": (True,),
    "MovementSheet.kind": ("payment",),
    "AgentSheet.people": (["jane"],),
    "AgentSheet.tokens": (["portal (3f2a9c10)"],),
    "ListedEntry.kind": ("payment",),
    "PaymentSheet.kind": ("payment",),
    "OverrideChange.setting": ("max_concurrent",),
    "OverrideChange.target": ("account",),
    "ViewSheet.name": ("busy numbers",),
    "WaitingSheet.type": ("payment",),
    "query": ("account=shop&reason=Busy",),
    "changed_by": ("ann",),
    "owner": ("ann",),
    "alarm": ("gateway_down",),
    "area": ("UK mobile",),
    "customer": ("shop",),
    "asked_by": ("ann",),
    "attestation": ("A",),
    "encryption": ("caller required, ICE; gateway optional",),
    "WrittenGateway.at": ("/etc/vosd/vosd.yaml:17",),
    "base": ("sell",),
    "begins_at": (_MOMENT,),
    "blocked": ("false", False),
    "blocked_by": ("ann",),
    "blocked_incoming": (True,),
    "blocked_memo": ("does not pay",),
    "blocked_since": (_MOMENT,),
    "blocked_until": (_MOMENT,),
    "bytes": (184_320,),
    "call_id": (_CALL,),
    "calls_now": (7,),
    "callee": ("447700900123",),
    "callee_billed": ("447700900123",),
    "callee_out": ("447700900123",),
    "caller": ("4930123456",),
    "caller_out": ("4930123456",),
    "caller_routed": ("4930123456",),
    "closed_by": ("ann",),
    "closed_since": (_MOMENT,),
    "code": ("123456", 200),
    "codec": ("PCMA",),
    "codes": (["k3vd-82hs"],),
    "configuration": ("vosd.yaml",),
    "configured_currency": ("USD",),
    "consumed_month": ("125.10",),
    "account_name": ("Acme Ltd",),
    "charged_today": ("3.84",),
    "consumed_today": ("3.20",),
    "last_call": ("2026-03-01T08:55:02Z",),
    "contact": ("sip:49301234@198.51.100.7:5060",),
    "created_by": ("ann",),
    "csrf": ("b1e2c7d0f94a",),
    "currency": ("EUR",),
    "ProfitSheet.cost": ("6.00",),
    "ProfitSheet.profit": ("4.50",),
    "ProfitSheet.margin_percent": ("42.86",),
    "ProfitSheet.in_two_currencies": (0,),
    "customer_account": ("shop",),
    "destination": ("premium",),
    "AuditSheet.detail": ({"account": "shop", "amount": "10.50"},),
    "digest": ("9f86d081884c7d65",),
    "do": ("Look at the address of the gateway, then at the network.",),
    "document": ('{"id": "5f0c9a1e-17", "type": "call.ended"}',),
    "criteria": ("account", "gateway"),
    "error": ("access_denied",),
    "error_description": ("the person is not assigned to this application",),
    "expires_at": (_MOMENT,),
    "explanation": ("their unit is 60 s",),
    "expected": ("expected a positive number",),
    "file": ("carrier-2026-03.csv",),
    "first": ([_CALL], 2),
    "gateway": ("carrier-a",),
    "group": ("retail",),
    "groups": ("whole", "day"),
    "id": (17, "17"),
    "iss": ("https://login.example.com",),
    "key": ("accounts[0].currency",),
    "keys": ({"currency": "EUR", "overdraft_limit": "50"},),
    "ComparedVersions.keys": ({"overdraft_limit": ["50", "100"]},),
    "DifferenceSheet.keys": ({"overdraft_limit": ["50", "100"]},),
    "kind": ("accounts",),
    "kinds": (["payment", "refund"],),
    "last": (3,),
    "lease": ("switch-1",),
    "link": ("/login#Zt4n8Qw2Lr6",),
    "login": ("ann",),
    "map": ('{"prefix": "Code", "price": "Rate"}',),
    "mapping_gateway": ("shop-pbx",),
    "meaning": ("Seconds between refreshes of a session.",),
    "memo": ("contract 4711",),
    "method": ("GET",),
    "missing": (["rates/old.csv"],),
    "month": ("2026-03",),
    "name": ("shop",),
    "net_exposure": ("-20",),
    "networks": (["192.0.2.0/24"],),
    "new": ("a long new password",),
    "node": ("switch-1",),
    "not_known": (["balances"],),
    "number": (1, "447700900123"),
    "old": ("the present password",),
    "operator": ("ann",),
    "RouteSheet.order": (["cost"],),
    "ExplainedRoute.order": (["cost"],),
    "ordered_by": ("ann",),
    "password": ("a long new password",),
    "period": ("2026-10",),
    "prefix": ("44",),
    "prefixes": (["447"],),
    "principal": ("ann",),
    "ReloadOutcome.problems": (["account cafe: its rate group is empty"],),
    "rate_area": ("UK mobile",),
    "rate_group": ("sell",),
    "rate_prefix": ("447",),
    "FoundRate.rate": ({"prefix": "447", "billing_rate": "0.12"},),
    "FoundRate.neighbours": ([{"prefix": "44", "billing_rate": "0.02"}],),
    "reason": ("Normal",),
    "received": ("198.51.100.7:5060",),
    "receiver": ("crm",),
    "reference": ("invoice-2026-17",),
    "role": ("viewer",),
    "routing_gateway": ("carrier-a",),
    "rings_beside": ("1002",),
    "rate_type": ("international",),
    "schema": ("0054",),
    "scopes": (["read"], "read"),
    "secret": ("JBSWY3DPEHPK3PXP",),
    "server": ("sip.carrier.example.com:5060",),
    "sha256": ("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",),
    "sip_call_id": ("a84b4c76e66710@192.0.2.44",),
    "source": ("database",),
    "RateExplanation.steps": ([{"step": "rate", "group": "sell", "prefix": "44", "billing_rate": "0.60"}],),
    "subject": ("sell",),
    "tax": ("2.10",),
    "bank": (["IBAN GB00"],),
    "due_on": ("2026-11-09",),
    "first_day": ("2026-10-01",),
    "last_day": ("2026-10-31",),
    "language": ("en",),
    "tax_id": ("GB123456789",),
    "text": ("the gateway does not answer OPTIONS",),
    "token": ("vosd_5f0c9a1e17b4_Zt4n8Qw2Lr6",),
    "total": ("0.14",),
    "trunk_groups": ("dear",),
    "types": ("call.ended,balance",),
    "unaudited": ("",),
    "unasked": (["number_portability"],),
    "uri": ("otpauth://totp/vosd:ann?secret=JBSWY3DPEHPK3PXP",),
    "user_agent": ("snom/10.1",),
    "username": ("cafe-1",),
    "value": ("30",),
    "values": ({"max_concurrent": "30"},),
    "vendor": ("carrier",),
    "vendor_account": ("carrier",),
    "vendor_currency": ("USD",),
    "version": (3, "3"),
    "via": ("carrier-a",),
    "what": ("180 Ringing",),
    "work_state": ("working",),
    "written_at": (_MOMENT,),
    "made_at": (_MOMENT,),
    "zone": ("Europe/Berlin",),
}
"""Examples by the name of the field, or of its type and the field, of each JSON type that it has somewhere."""

_KEYS: Final[Mapping[str, Mapping[str, Any]]] = {
    "accounts": {"currency": "EUR", "overdraft_limit": "50"},
    "mapping-gateways": {"hosts": ["192.0.2.44"], "account": "shop"},
    "routing-gateways": {"account": "carrier", "address": "192.0.2.99:5060", "prefixes": ["44"]},
    "phones": {"username": "shop-1", "password": "long-enough-1", "account": "shop"},
    "rate-groups": {"currency": "EUR", "rates": [{"prefix": "44", "billing_rate": "0.60"}]},
    "routing-plans": {"order": ["cost"]},
    "calendars": {"entries": [{"weekdays": "mon"}]},
    "number-lists": {"patterns": ["4477*"]},
    "number-pools": {"numbers": ["4930123"]},
    "templates": {"max_concurrent": 5},
}
_SPAN: Final = {"since": "2026-03-01T00:00:00Z", "until": "2026-03-02T00:00:00Z"}

BODIES: Final[Mapping[str, Mapping[str, Any]]] = {
    **{f"POST /{kind}": {"name": "new", "keys": keys, "memo": "contract 4711"} for kind, keys in _KEYS.items()},
    **{f"PUT /{kind}/{{name}}": {"keys": keys} for kind, keys in _KEYS.items()},
    **{f"PATCH /{kind}/{{name}}": {"keys": keys} for kind, keys in _KEYS.items()},
    "POST /customers": {
        "account": "cafe",
        "keys": {"currency": "EUR", "rate_group": "sell"},
        "mapping_gateways": [{"name": "cafe-pbx", "keys": {"hosts": ["192.0.2.44"]}}],
        "phones": [{"name": "49301234", "keys": {"username": "cafe-1", "password": "long-enough-1"}}],
        "payment": {"amount": "50.00", "memo": "cash"},
    },
    "POST /accounts/{account}/payments": {"amount": "100.00", "memo": "invoice 17"},
    "POST /payment-files": {"content": "account,amount,reference\nshop,100.00,bank-17\n"},
    "POST /transfers": {"source": "reseller", "target": "shop", "amount": "10.50"},
    "POST /calls/hangup": {"account": "shop"},
    "POST /calls/rerate": {**_SPAN, "account": "shop"},
    "POST /routes/explain": {"gateway": "shop-pbx", "caller": "4930123456", "callee": "447700900123"},
    "POST /calendar-days": {
        "name": "office",
        "keys": {
            "timezone": "Europe/Berlin",
            "entries": [{"weekdays": ["mon", "tue"], "from": "09:00", "to": "18:00"}],
        },
        "first": "2026-03-02",
        "days": 1,
    },
    "POST /routes/simulate": {
        **_SPAN,
        "objects": [{"action": "merge", "kind": "routing_gateways", "name": "carrier-a", "keys": {"priority": "2"}}],
    },
    "POST /rates/explain": {"account": "shop", "callee": "447700900123", "duration_ms": 61_000},
    "POST /bulk": {
        "objects": [{"action": "merge", "kind": "accounts", "name": "shop", "keys": {"overdraft_limit": "50"}}]
    },
    "POST /cdrs/{call_id}/corrections": {
        "charges": [{"role": "customer", "fee": "0.10", "tax": "0.02"}],
        "memo": "the rate was wrong",
    },
    "POST /accounts/{account}/overrides": {"overdraft_limit": "50", "until": "2026-03-02T00:00:00Z"},
    "POST /tokens": {"name": "crm", "role": "finance", "scopes": ["read"], "networks": ["192.0.2.0/24"]},
    "POST /people": {"name": "ann", "role": "viewer"},
    "PUT /roles/{name}": {"permissions": ["accounts.see", "money.see"]},
}
"""Bodies of operations, where what they require says too little."""

_CDR: Final = {
    "call_id": _CALL, "mapping_gateway": "shop-pbx", "customer_account": "shop", "currency": "EUR",
    "caller_in": "4930123456", "callee_in": "447700900123", "started_at": _MOMENT, "answered_at": _MOMENT,
    "billed_seconds": 60, "fee": "0.12", "tax": "0.02", "end_reason": "Normal", "sip_code": 200,
}  # fmt: skip
"""Customers get no more."""
_LADDER: Final = {
    "call_id": _CALL, "caller": "4930123456", "callee": "447700900123", "mapping_gateway": "shop-pbx",
    "gateways": ["carrier-a"], "outcome": None,
    "messages": [{"at": _MOMENT, "way": "in", "leg": 0, "message": "INVITE sip:447700900123@198.51.100.1 SIP/2.0"}],
}  # fmt: skip
_KEY: Final = {
    "name": "max_concurrent", "meaning": "Calls at the same time.", "form": "number", "many": False, "required": False,
    "expected": "a whole number from 1 to 1000000; leave the key out for no limit", "default": [], "lowest": "1",
    "highest": "1000000", "unit": "", "choices": [], "names": "", "keys": [],
}  # fmt: skip
_ROUTED: Final = {"calls": 120, "answered": 80, "minutes": "95.5", "without_route": 3, "loss_calls": 0}
ANSWERS: Final[Mapping[str, Any]] = {
    "GET /openapi.json": {"openapi": "3.1.0", "paths": {}},
    "GET /calls/{call_id}": {
        "running": True,
        "call": {"call_id": _CALL, "state": "talking", "customer_account": "shop"},
        "legs": [{"side": "caller", "gateway": "shop-pbx", "address": "192.0.2.44:5060", "codec": "PCMA"}],
    },
    "GET /calls/why": {
        "live": True,
        "running": [],
        "calls": [{"call_id": _CALL, "headline": "Busy, 486: A gateway said that the called party is busy."}],
    },
    "GET /calls/{call_id}/ladder": _LADDER,
    "GET /cdrs": _CDR,
    "GET /cdrs/{call_id}": _CDR,
    "GET /cdrs/{call_id}/why": {
        "call_id": _CALL,
        "result": "Busy",
        "candidates": [{"routing_gateway": "carrier-a", "position": 1, "reason": "tried: 486 after 1 ms (Busy)"}],
    },
    "GET /cdrs/{call_id}/ladder": _LADDER,
    "GET /cdrs/{call_id}/charges": {"role": "customer", "account": "shop", "fee": "0.12"},
    "GET /calls/trace": _LADDER,
    "GET /definitions/{kind}": {
        "kind": "phones",
        "meaning": "A telephone: it registers with a password, calls, and is called.",
        "named": _KEY | {"name": "number", "meaning": "Unique among the phones.", "form": "text", "required": True},
        "keys": [_KEY],
    },
    "POST /routes/simulate": {"calls": 120, "changed": 7, "before": _ROUTED, "after": _ROUTED, "lacking": []},
    "GET /jobs/{id}/result": {"dry_run": False, "in_force": True, "changes": [], "calls_unknown": "", "warnings": []},
}
"""Answers, or items of lists, of operations whose type does not declare their fields."""


def example_of(
    name: str, schema: Mapping[str, Any], components: Mapping[str, Any], around: tuple[str, ...] = ()
) -> Any:
    """Return an example of a field; ``around`` are the components that it is in.

    Raises:
        LookupError: there is none: the table above needs one.
    """
    if "$ref" in schema:
        inner = schema["$ref"].rpartition("/")[2]
        if inner in around:
            raise LookupError(f"{inner} is in itself")
        return example_of(name, components[inner], components, (*around, inner))
    if "anyOf" in schema:
        return _first([each | _meaning(schema) for each in schema["anyOf"]], name, components, around)
    if "enum" in schema:
        return schema["enum"][0]
    for each in (*FIELDS.get(f"{around[-1]}.{name}" if around else "", ()), *FIELDS.get(name, ())):
        if _fits(each, schema):
            return each
    return _by_type(name, schema, components, around)


def _by_type(name: str, schema: Mapping[str, Any], components: Mapping[str, Any], around: tuple[str, ...]) -> Any:
    match schema.get("type"):
        case "object":
            fields = schema.get("properties", {}).items()
            found = {field: example_of(field, inner, components, around) for field, inner in fields}
            return {field: each for field, each in found.items() if each != [] or field in schema.get("required", ())}
        case "array":
            return _items(name, schema, components, around)
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean" | "null" as kind:
            return False if kind == "boolean" else None
    return _text(name, schema)


def _meaning(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {name: schema[name] for name in ("description",) if name in schema}


def _first(schemas: list[dict[str, Any]], name: str, components: Mapping[str, Any], around: tuple[str, ...]) -> Any:
    """Return an example of the first alternative that has one; null is the last."""
    error = LookupError(name)
    for each in sorted(schemas, key=lambda each: each.get("type") == "null"):
        try:
            return example_of(name, each, components, around)
        except LookupError as found:
            error = found
    raise error


def _items(name: str, schema: Mapping[str, Any], components: Mapping[str, Any], around: tuple[str, ...]) -> list[Any]:
    inner = schema.get("items", {})
    if "$ref" in inner and inner["$ref"].rpartition("/")[2] in around:
        return []
    return [example_of(name, inner, components, around)]


def _text(name: str, schema: Mapping[str, Any]) -> str:
    said = schema.get("description", "")
    if schema.get("format") == "date-time" or "RFC 3339" in said:
        return _MOMENT
    if "as text" in said:
        return "10.50"
    if re.search(r"\b[Ee]mpty\b", said):
        return ""
    if (literal := re.search(r"`([^`]+)`", said)) is not None:
        return literal[1]
    raise LookupError(f"write an example of `{name}` into api/examples.py")


def _fits(value: Any, schema: Mapping[str, Any]) -> bool:
    kinds: Mapping[str, tuple[type, ...]] = {
        "string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,), "array": (list,),
        "object": (dict,),
    }  # fmt: skip
    kind = schema.get("type")
    return kind is None or (isinstance(value, kinds.get(kind, ())) and (kind == "boolean") is isinstance(value, bool))
