"""Verdict on every operation for every kind of caller, about objects of its own, of others, and absent ones.

The requests go through the application in this process, on a real configuration and database. Nothing that they write
is committed, so that each of them finds the same objects: an order that got as far as that is answered with 503.
"""

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import msgspec
import pytest
from doubles import forked_child
from doubles.asgi import answered
from doubles.data.records import answered_call, call_id
from doubles.forked import forked
from doubles.migrated import migrated

from vosd.admin.office.invoice_run import RunInvoices, run_invoices
from vosd.admin.office.office import Office
from vosd.admin.office.principal import ALL, SHIPPED, Means, Principal, Role
from vosd.admin.office.tokens import principal_of
from vosd.api.application import Application
from vosd.api.jobs import Jobs
from vosd.api.offices import Offices
from vosd.api.operation import Operation
from vosd.api.routes import Routes
from vosd.api.table import OPERATIONS
from vosd.cdr.ports import StoreUnavailable
from vosd.cdr.record import CallRecord
from vosd.daemon import checks
from vosd.storage.books import SqlBooks
from vosd.storage.database import Database
from vosd.storage.traffic import SqlTraffic

CONFIGURATION: Final = """\
database: {url: '$url'}
state_dir: $directory/var
control_socket: $directory/vosd.sock
api: {listen: '127.0.0.1:1'}
accounts:
  - {id: reseller, rate_group: sell, rights: $rights, overdraft_limit: unlimited}
  - {id: another, rate_group: sell, overdraft_limit: unlimited}
rate_groups:
  - {name: sell, rates: [{prefix: "44", billing_rate: "0.60"}]}
"""
RIGHTS: Final = "[accounts, phones, gateways, gateway_information, gateway_capacity, sub_payments, own_payments]"
CALLERS: Final = (
    "viewer", "night", "rates", "finance", "administrator", "cashier", "read", "money", "agent", "customer",
)  # fmt: skip


WHOLE: Final = ("administrator", "agent", "customer")
"""Callers whose orders are carried out. The others differ from the first in their permissions alone, so it is enough
that the application lets them in."""
SCOPED: Final = ("agent", "customer")


class Asked(NamedTuple):
    """A request."""

    method: str
    path: str
    body: Any
    names: tuple[str, ...] = ()
    """Names of its object, and of the account of that."""


class Reply(NamedTuple):
    status: int
    content: bytes

    def without(self, asked: Asked | None) -> bytes:
        """Return the content without the names of the request."""
        assert asked is not None
        found = self.content
        for name in asked.names:
            found = found.replace(name.encode(), b"NAME")
        return found


class Site:
    """The application on an installation, and the principals of its callers."""

    def __init__(self, directory: Path) -> None:
        config = directory / "vosd.yaml"
        self.url = migrated(directory / "vosd.db")
        (directory / "var").mkdir()
        text = CONFIGURATION.replace("$url", self.url).replace("$directory", str(directory))
        config.write_text(text.replace("$rights", RIGHTS))
        self.loop = asyncio.new_event_loop()
        self.offices = Offices(config)
        jobs = Jobs(config, self.offices)
        self.application = Application(self.offices, self._identify, Routes(OPERATIONS), jobs)
        idle = [msgspec.structs.replace(each, **IDLE) for each in OPERATIONS]
        self.idle = Application(self.offices, self._identify, Routes(idle), jobs)
        root = Principal(role=Role.OPERATOR, name="root", login="root", means=Means.TERMINAL, permissions=ALL)
        self.callers = {"setup": root}
        self.made: dict[str, str] = {}
        """Names that were chosen by the switch."""

    async def _identify(self, _office: Office, token: str, _source: str) -> Principal:
        return self.callers[token]

    def run(self, act: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(act)

    def ask(self, caller: str, asked: Asked | None) -> Reply:
        """Send a request."""
        assert asked is not None, "OBJECTS or REQUESTS name none"
        return cast("Reply", self.run(_answered(self.application, caller, asked)))

    def is_let_in(self, caller: str, asked: Asked | None) -> bool:
        """Return whether a request gets behind the check of permissions; its order is not carried out."""
        assert asked is not None
        return self.run(_answered(self.idle, caller, asked)).status not in {401, 403, 404}

    def make(self, path: str, body: Any, caller: str = "setup") -> Any:
        """Make an object, and return the answer."""
        made = self.ask(caller, Asked("PUT" if path.startswith(("/roles", "/parameters")) else "POST", path, body))
        assert made.status in {200, 201, 202}, (path, made)
        return json.loads(made.content)

    def requests(self, operation: Operation) -> list[Asked | None]:
        """Return the request of an operation about an own, a foreign, and an absent object; None = there is none."""
        sample = REQUESTS.get(named(operation), {} if operation.has_body else None)
        objects = OBJECTS.get("/" + operation.path.split("/")[1]) if "{" in operation.path else None
        names_account = "ACCOUNT" in json.dumps(sample)
        found: list[Asked | None] = []
        for which, account in enumerate(("shop", "rival", "absent")):
            name = objects[which] if objects is not None else ""
            if which and not name and not names_account:
                found.append(None)
                continue
            name = self.made.get(name, name)
            path = re.sub(r"{\w+}", name or "shop", operation.path.replace("{month}", "2026-03"))
            body = None if sample is None else json.loads(json.dumps(sample).replace("ACCOUNT", account))
            if isinstance(body, str):
                path, body = f"{path}?{body}", None
            found.append(Asked(operation.method, path, body, tuple(filter(None, (name, account)))))
        return found

    def close(self) -> None:
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.run(self.offices.__aexit__(None, None, None))
        self.loop.close()


async def _let_in(*_: object) -> str:
    return "let in"


IDLE: Final[dict[str, Any]] = {
    "run": _let_in, "listing": None, "long": None, "answer": None, "etag": None, "shown": None, "location": None,
    "status": 200, "is_live": False, "forms": {},
}  # fmt: skip


async def _answered(application: Application, caller: str, asked: Asked) -> Reply:
    proof = {"authorization": f"Bearer {caller}"}
    found = await answered(application, asked.method, asked.path, asked.body, proof)
    return Reply(found.status, found.content)


OPERATORS_KINDS: Final = (
    "routing-gateways", "rate-groups", "routing-plans", "calendars", "number-lists", "number-pools", "dids",
    "address-groups", "gateway-groups", "report-schedules", "templates",
)  # fmt: skip
NAMES: Final = {"dids": ("4931000", "4931001", "4931002")}
"""Own, new and absent name where a kind has other names than words."""
KEYS: Final[dict[str, dict[str, Any]]] = {
    "accounts": {"rate_group": "sell", "agent": "reseller"},
    "mapping-gateways": {"hosts": ["192.0.2.1"], "account": "shop"},
    "routing-gateways": {"account": "another", "address": "192.0.2.99:5060", "prefixes": ["44"]},
    "phones": {"password": "long-enough-1", "account": "shop"},
    "rate-groups": {"deck": True},
    "routing-plans": {"order": ["cost"]},
    "calendars": {"entries": [{"weekdays": "mon"}]},
    "number-lists": {"patterns": ["4477*"]},
    "number-pools": {"numbers": ["4930123"]},
    "dids": {"ring_timeout": "25"},
    "address-groups": {"hosts": ["192.0.2.201"]},
    "gateway-groups": {"gateways": ["member"]},
    "report-schedules": {"report": "daily", "directory": "reports"},
    "templates": {"max_concurrent": 5},
}
"""Keys of an object of each kind."""
SECTIONS: Final = {"report-schedules": "reports"}
"""Section of the configuration of a kind, where it has another name than its path."""


def own(kind: str) -> str:
    return NAMES[kind][0] if kind in NAMES else f"own-{kind}"


def furnish(site: Site) -> None:
    """Make own and foreign objects, and the callers."""
    for number, (account, agent) in enumerate((("shop", "reseller"), ("rival", "another")), start=1):
        site.make("/customers", {
            "account": account, "keys": {"agent": agent, "rate_group": "sell"},
            "mapping_gateways": [{"name": f"{account}-in", "keys": {"hosts": [f"192.0.2.{number}"]}}],
            "phones": [{"name": f"4930{number}", "keys": {"password": "long-enough-1"}}],
            "payment": {"amount": "10"},
        })  # fmt: skip
    objects = [
        {"action": "create", "kind": SECTIONS.get(k, k.replace("-", "_")), "name": own(k), "keys": KEYS[k]}
        for k in OPERATORS_KINDS
    ]
    member = {"kind": "routing_gateways", "name": "member", "keys": KEYS["routing-gateways"]}
    site.make("/bulk", {"objects": [*objects, {"action": "create", **member}]})
    site.make("/parameters/SS_BILLINGUNIT", {"value": "6"})
    for role in SHIPPED:
        add_caller(site, role, role, account={"agent": "reseller", "customer": "shop"}.get(role))
    site.make("/roles/cashier", {"permissions": ["accounts.see", "money.see", "money.book", "jobs"]})
    add_caller(site, "cashier", "cashier")
    add_caller(site, "barred", "agent", account="another")
    for scope in ("read", "money"):
        add_caller(site, scope, "administrator", scopes=[scope])
    site.make("/people", {"name": "ann", "role": "viewer"})
    site.make("/roles/spare", {"permissions": ["accounts.see"]})
    for path in ("/accounts/shop/block", "/gateways/shop-in/block"):
        site.make(path, {}, "agent")
    site.made["VIEW"] = str(site.make("/views", {"page": "cdrs", "name": "busy", "query": "reason=Busy"})["id"])
    site.made["TOKEN"] = site.make("/tokens", {"name": "probe", "role": "viewer"})["id"]
    site.made["BACKUP"] = site.make("/backups", None)["file"].rpartition("/")[2]
    for name, caller in (("JOB", "finance"), ("OTHER-JOB", "setup")):
        site.made[name] = str(site.make("/cdrs/export", {}, caller)["id"])

    book(site, [answered_call(1, customer_account="shop"), answered_call(2, customer_account="rival")])
    office = site.run(site.offices.open(needs_database=True))
    order = RunInvoices(period="2026-09", accounts=("shop", "rival"))
    for sheet in site.run(run_invoices(office, site.callers["setup"], order)):
        site.made["INVOICE" if sheet.account == "shop" else "OTHER-INVOICE"] = str(sheet.id)


def book(site: Site, records: Sequence[CallRecord]) -> None:
    """Book calls, and add them up for reports."""

    async def booked() -> None:
        database = Database(site.url)
        await SqlBooks(database).book(records)
        await SqlTraffic(database).advance()
        await database.close()

    site.run(booked())


def add_caller(site: Site, caller: str, role: str, **more: Any) -> None:
    order = {"name": caller, "role": role, **{name: value for name, value in more.items() if value is not None}}
    secret = site.make("/tokens", order)["token"]

    async def proved() -> Principal:
        return await principal_of(await site.offices.open(needs_database=True), secret, "192.0.2.1")

    site.callers[caller] = site.run(proved())


WRITING: Final = Database.writing


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("verdicts"))

    @asynccontextmanager
    async def tried(self: Database, **more: Any) -> AsyncIterator[Any]:
        async with WRITING(self, **more) as connection:
            yield connection
            raise StoreUnavailable("the test keeps nothing")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(checks, "started", forked_child.started)
        forked(os.getpid).join()  # the first one takes seconds on a busy machine, more than a request waits
        furnish(site)
        patched.setattr(Database, "writing", tried)
        office: Office = site.run(site.offices.open(needs_database=True))

        async def opened(*_: object, **__: object) -> Office:
            return office

        patched.setattr(site.offices, "open", opened)
        yield site
    site.close()


OBJECTS: Final[dict[str, tuple[str, str, str]]] = {
    "/accounts": ("shop", "rival", "absent"),
    "/mapping-gateways": ("shop-in", "rival-in", "absent"),
    "/phones": ("49301", "49302", "49309"),
    **{f"/{kind}": (own(kind), "", NAMES.get(kind, ("absent",))[-1]) for kind in OPERATORS_KINDS},
    "/definitions": ("accounts", "rate_groups", "absent"),
    "/parameters": ("SS_BILLINGUNIT", "", "ABSENT"),
    "/gateways": ("shop-in", "rival-in", "absent"),
    "/registrations": ("49301", "49302", "49309"),
    "/cdrs": (call_id(1), call_id(2), call_id(3)),
    "/calls": (call_id(1), call_id(2), call_id(3)),
    "/rates": ("own-rate-groups", "", "absent"),
    "/decks": ("own-rate-groups", "", "absent"),
    "/people": ("ann", "", "absent"),
    "/roles": ("spare", "", "absent"),
    "/tokens": ("TOKEN", "", "000000000000"),
    "/jobs": ("JOB", "OTHER-JOB", "999"),
    "/views": ("VIEW", "", "999"),
    "/backups": ("BACKUP", "", "vosd-20260301T000000Z.zip"),
    "/webhooks": ("crm", "", "absent"),
    "/waiting-payments": ("998", "", "999"),
    "/payments": ("998", "", "999"),
    "/reports": ("daily", "profit", "absent"),
    "/reconciliations": ("998", "", "999"),
    "/invoices": ("INVOICE", "OTHER-INVOICE", "999"),
    "/bilateral": ("shop", "rival", "absent"),
}
"""Own, foreign and absent object by the beginning of the path; capitals stand for a name in ``Site.made``."""

DAY = {"since": "2026-03-01T00:00:00Z", "until": "2026-03-02T00:00:00Z"}
REQUESTS: Final[dict[str, Any]] = {
    "POST /accounts": {"name": "fresh", "keys": {"rate_group": "sell", "agent": "ACCOUNT"}},
    "POST /mapping-gateways": {"name": "fresh", "keys": {"hosts": ["192.0.2.77"], "account": "ACCOUNT"}},
    "POST /phones": {"name": "493099", "keys": {"password": "long-enough-1", "account": "ACCOUNT"}},
    **{f"POST /{kind}": {"name": NAMES.get(kind, ("", "fresh"))[1], "keys": KEYS[kind]} for kind in OPERATORS_KINDS},
    "POST /dids/{number}/assign": {"account": "shop", "phones": ["49301"]},
    "POST /dids/{number}/free": {},
    "POST /dids/import": {"text": "number,account,phones\n4931005,shop,49301\n"},
    **{f"PUT /{kind}/{{name}}": {"keys": KEYS[kind]} for kind in KEYS},
    **{f"PATCH /{kind}/{{name}}": {"keys": KEYS[kind]} for kind in KEYS},
    **{f"POST /{kind}/{{name}}/revert": {"version": 1} for kind in KEYS},
    "POST /views": {"page": "reports", "name": "own", "query": "name=daily"},
    "PUT /views/{id}": {"name": "busier", "query": "reason=Busy&answered=false"},
    "PUT /parameters/{name}": {"value": "30"},
    "POST /parameters/{name}/revert": {"version": 1},
    "PUT /phones/{number}/password": {"password": "another-long-one"},
    "POST /customers": {"account": "fresh", "keys": {"rate_group": "sell", "agent": "ACCOUNT"}},
    "GET /balances": "agent=ACCOUNT",
    "GET /ledger": "account=ACCOUNT",
    "GET /payments": "account=ACCOUNT",
    "GET /ledger/balances": "at=2026-03-01T00:00:00Z",
    "GET /ledger/profit": "since=2026-03-01T00:00:00Z&until=2026-03-02T00:00:00Z",
    "GET /statements/{month}": "accounts=ACCOUNT",
    "POST /accounts/{account}/payments": {"amount": "1"},
    "POST /payment-files": {"content": "account,amount,reference\nshop,1,bank-1\n"},
    "POST /transfers": {"source": "reseller", "target": "ACCOUNT", "amount": "1"},
    "GET /calls": "account=ACCOUNT",
    "POST /calls/hangup": {"account": "shop"},
    "POST /calls/test": {"via": "own-routing-gateways", "callee": "441"},
    "GET /calls/why": "account=shop",
    "GET /cdrs": "account=ACCOUNT",
    "POST /cdrs/{call_id}/corrections": {"charges": [{"role": "customer", "fee": "0.01", "tax": "0"}], "memo": "x"},
    "POST /routes/explain": {"gateway": "shop-in", "caller": "49", "callee": "44"},
    "POST /routes/simulate": DAY,
    "POST /calendar-days": {"name": "office", "keys": {"entries": [{"weekdays": "mon"}]}, "first": "2026-03-02"},
    "GET /rates/lookup": "number=44",
    "POST /rates/explain": {"account": "ACCOUNT", "callee": "44", "duration_ms": 1000},
    "POST /bulk": {"objects": [{"action": "merge", "kind": "accounts", "name": "ACCOUNT", "keys": {"max_cps": 3}}]},
    "POST /calls/rerate": DAY,
    "GET /decks/{rate_group}/lookup": "number=44",
    "GET /events": "account=ACCOUNT&seconds=1",
    "POST /reconciliations/{account}/imports": "map=callee",
    "POST /invoices/runs": {"period": "2026-02", "accounts": ["shop"]},
    "GET /invoices": "account=ACCOUNT",
    "POST /invoices/{id}/payments": {"amount": "0.01"},
    "GET /bilateral/{account}": "since=2026-03-01T00:00:00Z&until=2026-03-01T01:00:00Z",
    "DELETE /overrides": "name=shop-in",
    "POST /gateways/{name}/overrides": {"values": {"max_concurrent": "2"}},
    "POST /accounts/{account}/overrides": {"overdraft_limit": "3"},
    "DELETE /sources": "address=192.0.2.9",
    "POST /people": {"name": "fresh", "role": "viewer"},
    "PUT /people/{name}/role": {"role": "night"},
    "POST /tokens": {"name": "fresh", "role": "viewer"},
    "PUT /roles/{name}": {"permissions": ["accounts.see"]},
}
"""Body or query of the operations that need one; ACCOUNT stands for the object."""


BEHIND: Final[dict[str, str]] = {
    "POST /backups": "backup",
    "DELETE /accounts/{name}": "account_not_settled",
    "DELETE /rate-groups/{name}": "config",
    "POST /payments/{id}/undo": "no_such_payment",
    "POST /waiting-payments/{id}/confirmation": "not_waiting",
    "POST /waiting-payments/{id}/refusal": "not_waiting",
    "GET /jobs/{id}/result": "no_result",
    "GET /gateways/{name}": "no_such_trunk",
    "GET /decks/{rate_group}": "no_such_deck",
    "GET /decks/{rate_group}/rates": "no_such_deck",
    "GET /decks/{rate_group}/lookup": "no_such_deck",
    "POST /decks/{rate_group}/rollback": "no_such_deck",
    "POST /decks/{rate_group}": "content_type",
    "POST /decks/{rate_group}/imports": "content_type",
    "POST /reconciliations/{account}/imports": "unknown_account",
    "GET /reconciliations/{id}": "no_such_reconciliation",
    "GET /reconciliations/{id}/calls": "no_such_reconciliation",
    "GET /reconciliations/{id}/letter": "no_such_reconciliation",
    "PUT /reconciliations/{id}/dispute": "no_such_reconciliation",
    "POST /invoices/{id}/issue": "not_adraft",
    "POST /invoices/{id}/mail": "order",
}
"""Errors that come behind permission and scope, where the objects of the test allow no success."""


MAKES: Final = {"PUT /roles/{name}", "PUT /parameters/{name}", *(f"PUT /{kind}/{{name}}" for kind in KEYS)}
"""Operations that make an object of a name that nothing has."""
ASKS_SWITCH: Final = {
    "DELETE /calls/{call_id}",
    "GET /calls/{call_id}/ladder",
    "DELETE /registrations/{name}",
    "POST /registrations/{name}/retry",
    "POST /webhooks/{receiver}/replay",
}
"""Operations on objects that only the running switch knows, which is away here."""
DONE: Final = {200, 201, 202, 204, 503}

VERDICTS: Final = """
    GET    /status                                     xx.xx.x...
    POST   /configuration/check                        xx.xx.x...
    POST   /configuration/reload                       ....x.....
    GET    /backups                                    ....x.....
    POST   /backups                                    ....x.....
    POST   /backups/{name}/verify                      ....x.....
    GET    /views                                      xxxxx.x.xx
    POST   /views                                      xxxxx.x.xx
    PUT    /views/{id}                                 xxxxx.x.hh
    DELETE /views/{id}                                 xxxxx.x.hh
    GET    /accounts                                   xxxxx.x.xx
    POST   /accounts                                   ....x...o.
    GET    /accounts/{name}                            xxxxx.x.oo
    PUT    /accounts/{name}                            ....x...o.
    PATCH  /accounts/{name}                            ....x...o.
    DELETE /accounts/{name}                            ....x...o.
    GET    /accounts/{name}/versions                   xxxxx.x.oo
    GET    /accounts/{name}/diff                       xxxxx.x.oo
    POST   /accounts/{name}/revert                     ....x...o.
    GET    /mapping-gateways                           xxxxx.x.xx
    POST   /mapping-gateways                           ....x...o.
    GET    /mapping-gateways/{name}                    xxxxx.x.oo
    PUT    /mapping-gateways/{name}                    ....x...o.
    PATCH  /mapping-gateways/{name}                    ....x...o.
    DELETE /mapping-gateways/{name}                    ....x...o.
    GET    /mapping-gateways/{name}/versions           xxxxx.x.oo
    GET    /mapping-gateways/{name}/diff               xxxxx.x.oo
    POST   /mapping-gateways/{name}/revert             ....x...o.
    GET    /KIND                                       xxxxx.x.xx
    POST   /KIND                                       ....x...h.
    GET    /KIND/{name}                                xxxxx.x.hh
    PUT    /KIND/{name}                                ....x...h.
    PATCH  /KIND/{name}                                ....x...h.
    DELETE /KIND/{name}                                ....x...h.
    GET    /KIND/{name}/versions                       xxxxx.x.hh
    GET    /KIND/{name}/diff                           xxxxx.x.hh
    POST   /KIND/{name}/revert                         ....x...h.
    POST   /dids/{number}/assign                       ....x...h.
    POST   /dids/{number}/free                         ....x...h.
    POST   /dids/import                                ....x...h.
    GET    /phones                                     xxxxx.x.xx
    POST   /phones                                     ....x...o.
    GET    /phones/{name}                              xxxxx.x.oo
    PUT    /phones/{name}                              ....x...o.
    PATCH  /phones/{name}                              ....x...o.
    DELETE /phones/{name}                              ....x...o.
    GET    /phones/{name}/versions                     xxxxx.x.oo
    GET    /phones/{name}/diff                         xxxxx.x.oo
    POST   /phones/{name}/revert                       ....x...o.
    PUT    /phones/{number}/password                   ....x...oo
    GET    /definitions/{kind}                         xxxxx.x.oo
    GET    /planned-versions                           xxxxx.x...
    POST   /calendar-days                              xxxxx.x...
    PUT    /parameters/{name}                          ....x...h.
    DELETE /parameters/{name}                          ....x...h.
    GET    /parameters/{name}/versions                 xxxxx.x.hh
    GET    /parameters/{name}/diff                     xxxxx.x.hh
    POST   /parameters/{name}/revert                   ....x...h.
    GET    /parameter-versions                         xxxxx.x...
    POST   /customers                                  ....x...o.
    GET    /balances                                   xx.xxxx.oo
    GET    /accounts/{account}/balance                 xx.xxxx.oo
    GET    /accounts/{account}/payments                x..xxxxxoo
    POST   /accounts/{account}/payments                ...xxx.xo.
    GET    /payments                                   x..xxxxxoo
    POST   /payment-files                              ...xxx.xx.
    POST   /payments/{id}/undo                         ...xxx.x..
    GET    /accounts/{account}/ledger                  x..xxxxxoo
    GET    /ledger                                     x..xxxxxoo
    GET    /ledger/balances                            ...xx.x...
    GET    /ledger/profit                              ...xx.x...
    GET    /statements/{month}                         x..xxxxxoo
    GET    /accounts/{account}/statements/{month}      x..xxxxxoo
    POST   /transfers                                  ...xxx.xo.
    GET    /waiting-payments                           x..xxxxx..
    POST   /waiting-payments/{id}/confirmation         ...xxx.x..
    POST   /waiting-payments/{id}/refusal              ...xxx.x..
    GET    /calls                                      xxxxx.x.oo
    GET    /calls/{call_id}                            xxxxx.x.oo
    DELETE /calls/{call_id}                            .x..x.....
    POST   /calls/hangup                               .x..x.....
    POST   /calls/test                                 .x..x.....
    GET    /calls/why                                  .x.xx.....
    GET    /calls/{call_id}/ladder                     .x..x.....
    POST   /reconciliations/{account}/imports          ...xx.....
    GET    /reconciliations                            ...xx.x...
    GET    /reconciliations/{id}                       ...xx.x...
    GET    /reconciliations/{id}/calls                 ...xx.x...
    PUT    /reconciliations/{id}/dispute               ...xx.....
    GET    /reconciliations/{id}/letter                ...xx.x...
    POST   /invoices/runs                              ...xx.....
    GET    /invoices                                   x..xxxxxoo
    GET    /invoices/{id}                              x..xxxxxoo
    GET    /invoices/{id}/pdf                          x..xxxxxoo
    GET    /invoices/{id}/calls                        x..xxxxxoo
    POST   /invoices/{id}/issue                        ...xx.....
    POST   /invoices/{id}/payments                     ...xxx.xo.
    POST   /invoices/{id}/mail                         ...xx.....
    POST   /invoices/{id}/cancel                       ...xx.....
    GET    /bilateral/{account}                        x..xx.x.oo
    POST   /months/{month}/close                       ...xx.....
    GET    /reports                                    xxxxx.x.xx
    GET    /scheduled-reports                          xx.xx.x...
    GET    /reports/{name}                             xxxxx.x.oo
    GET    /cdrs                                       xxxxx.x.oo
    GET    /cdrs/{call_id}                             xxxxx.x.oo
    GET    /cdrs/{call_id}/why                         .x.xx.....
    GET    /cdrs/{call_id}/ladder                      .x..x.....
    GET    /cdrs/{call_id}/charges                     ...xx.x...
    GET    /cdrs/{call_id}/corrections                 ...xx.x...
    POST   /cdrs/{call_id}/corrections                 ...xx.....
    GET    /calls/trace                                .x..x.....
    POST   /routes/explain                             xxxxx.x...
    POST   /routes/simulate                            xxxxx.x...
    POST   /rates/explain                              xxxxx.x.oo
    GET    /accounts/{account}/rates                   xxxxx.x.oo
    GET    /gateways/quality                           xxxxx.x...
    GET    /gateways/{name}                            xxxxx.x...
    GET    /registrations                              xxxxx.x.xx
    DELETE /registrations/{name}                       .x..x.....
    POST   /registrations/{name}/retry                 .x..x.....
    GET    /jobs                                       xxxxxxxx..
    GET    /jobs/{id}                                  hhhoxhhh..
    DELETE /jobs/{id}                                  hhhoxhhh..
    GET    /jobs/{id}/result                           hhhoxhhh..
    POST   /bulk                                       ....x.....
    POST   /calls/rerate                               ...xx.....
    POST   /cdrs/export                                ...xx.....
    POST   /decks/{rate_group}                         ..x.x.....
    GET    /decks/{rate_group}                         xxxxx.x...
    POST   /decks/{rate_group}/imports                 ..x.x.....
    GET    /decks/{rate_group}/versions                xxxxx.x...
    GET    /decks/{rate_group}/rates                   xxxxx.x...
    POST   /decks/{rate_group}/rollback                ..x.x.....
    GET    /decks/{rate_group}/lookup                  xxxxx.x...
    GET    /rates/groups                               xxxxx.x.xx
    GET    /rates/lookup                               xxxxx.x...
    GET    /rates/groups/{rate_group}/areas            xxxxx.x...
    GET    /webhooks/dead-letters                      xx.xx.x...
    POST   /webhooks/{receiver}/replay                 ....x.....
    GET    /events                                     xx.xx.x.oo
    GET    /alarms                                     xx.xx.x...
    POST   /alarms/{alarm}/confirmation                .x..x.....
    GET    /overrides                                  xxxxx.x...
    DELETE /overrides                                  ....x.....
    GET    /overrides/changes                          xxxxx.x...
    POST   /gateways/{name}/overrides                  ....x...o.
    POST   /accounts/{account}/overrides               ...xx...o.
    POST   /gateways/{name}/block                      .x..x...o.
    DELETE /gateways/{name}/block                      .x..x...o.
    POST   /accounts/{account}/block                   .x..x...o.
    DELETE /accounts/{account}/block                   .x..x...o.
    GET    /blacklist                                  xx.xx.x...
    DELETE /blacklist                                  .x..x.....
    GET    /sources                                    xx.xx.x...
    DELETE /sources                                    .x..x.....
    GET    /audit                                      ...xx.x...
    GET    /parameters                                 xx.xx.x...
    GET    /people                                     ....x.x...
    POST   /people                                     ....x.....
    GET    /people/{name}                              ....x.x...
    PUT    /people/{name}/role                         ....x.....
    POST   /people/{name}/disable                      ....x.....
    POST   /people/{name}/enable                       ....x.....
    POST   /people/{name}/reset                        ....x.....
    GET    /tokens                                     ....x.x...
    POST   /tokens                                     ....x.....
    GET    /tokens/{id}                                ....x.x...
    DELETE /tokens/{id}                                ....x.....
    GET    /agents                                     ....x.x...
    GET    /roles                                      ....x.x...
    PUT    /roles/{name}                               ....x.....
    DELETE /roles/{name}                               ....x.....
    GET    /tokens/{id}/operations                     ....x.x...
    GET    /roles/{role}/operations                    ....x.x...
"""
"""Operation, and a letter for each of CALLERS. ``x``: it is carried out. ``.``: 403. ``h``: 404, as for an absent
object. ``o``: it is carried out about objects of one's own; those of others are answered as absent ones. KIND:
definitions that are for operators alone."""


def verdicts() -> dict[str, str]:
    """Return the verdicts by method and path."""
    found = {}
    for line in VERDICTS.strip().splitlines():
        method, path, letters = line.split()
        assert len(letters) == len(CALLERS), line
        for kind in OPERATORS_KINDS if "/KIND" in path else ("",):
            found[f"{method} {path.replace('KIND', kind)}"] = letters
    return found


def named(operation: Operation) -> str:
    return operation.route


CASES: Final = [each for each in OPERATIONS if each.permission is not None]


def test_an_agent_without_rights_gets_refusals_that_are_documented(site: Site) -> None:
    lacking = set()
    for operation in OPERATIONS:
        _, below, _ = site.requests(operation)
        if operation.is_for_accounts and operation.permission is not None and not operation.is_live and below:
            found = site.ask("barred", below)  # it refuses an answer that the document does not have
            if found.status == 403 and json.loads(found.content)["code"] == "right_lacking":
                lacking.add(named(operation))
    assert lacking >= {
        "GET /accounts/{account}/payments",
        "GET /accounts/{account}/ledger",
        "GET /ledger",
        "GET /accounts/{account}/statements/{month}",
        "GET /statements/{month}",
        "GET /invoices",
    }


@pytest.mark.parametrize("ended", ["disabled", "gone"])
@pytest.mark.parametrize("caller", SCOPED)
def test_nothing_is_open_to_those_of_an_agent_that_is_disabled_or_gone(
    site: Site, monkeypatch: pytest.MonkeyPatch, caller: str, ended: str
) -> None:
    definitions = site.run(site.offices.open(needs_database=True)).definitions
    accounts = dict(definitions.accounts())
    agent = accounts.pop("reseller")
    if ended == "disabled":
        accounts["reseller"] = msgspec.structs.replace(agent, enabled=False)
    else:
        del accounts["shop"]
    monkeypatch.setattr(definitions, "accounts", lambda *_: accounts)
    let_in = set()
    for operation in CASES:
        own, _, _ = site.requests(operation)
        if verdicts()[named(operation)][CALLERS.index(caller)] in "xo" and site.ask(caller, own).status in DONE:
            let_in.add(named(operation))
    assert let_in == set()


def questions(site: Site, caller: str) -> list[str]:
    """Return all readings of a caller whose answer does not depend on the running switch: of reports with groups."""
    found = []
    for operation in CASES:
        is_open = verdicts()[named(operation)][CALLERS.index(caller)] != "."
        if operation.method == "GET" and is_open and not operation.is_live:
            own, _, _ = site.requests(operation)
            assert own is not None
            found.append(own.path.replace("2026-03", "2026-09"))
    for report in json.loads(site.ask(caller, Asked("GET", "/reports", None)).content)["items"]:
        span = "since=2026-09-21T00:00:00Z&until=2026-09-22T00:00:00Z"
        found += [f"/reports/{report['name']}?{span}&group={group}" for group in ("hour", "whole")]
    return [*found, "/cdrs", "/ledger", "/payments", "/balances", "/invoices", "/balances?counts=true&last_call=true"]


def test_no_answer_to_an_agent_or_a_customer_depends_on_what_others_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "started", forked_child.started)
    monkeypatch.setattr(Database, "writing", WRITING)
    forked(os.getpid).join()  # as for ``site``
    site = Site(tmp_path)
    furnish(site)
    asked = {caller: questions(site, caller) for caller in SCOPED}

    def answers() -> dict[tuple[str, str], Reply]:
        return {
            (caller, path): site.ask(caller, Asked("GET", path, None)) for caller in SCOPED for path in asked[caller]
        }

    before = answers()
    book(site, [answered_call(index, customer_account="rival") for index in range(20, 60)])
    site.make("/accounts/rival/payments", {"amount": "3"})
    site.make("/transfers", {"source": "another", "target": "rival", "amount": "1"})
    site.make("/accounts/rival/overrides", {"overdraft_limit": "7"})
    site.make("/gateways/rival-in/block", {})
    site.make("/accounts/rival/block", {})
    site.make("/bulk", {"objects": [
        {"action": "create", "kind": "accounts", "name": "rival-2", "keys": {"agent": "another", "rate_group": "sell"}},
        {"action": "create", "kind": "phones", "name": "493022", "keys": KEYS["phones"] | {"account": "rival"}},
        {"action": "create", "kind": "mapping_gateways", "name": "rival-in-2", "keys": {
            "hosts": ["192.0.2.92"], "account": "rival"}},
        {"action": "merge", "kind": "accounts", "name": "rival", "keys": {"max_cps": 3}},
    ]})  # fmt: skip
    site.make("/tokens", {"name": "rival-token", "role": "customer", "account": "rival"})
    after = answers()
    site.close()
    assert {reply.status for reply in after.values()} <= {200, 404, 422, 503}
    assert len([reply for reply in after.values() if reply.status == 200]) > len(before) / 2
    assert {question for question, reply in after.items() if reply != before[question]} == set()


def test_every_operation_has_a_verdict() -> None:
    assert verdicts().keys() == {named(each) for each in CASES}, "say in VERDICTS who may do it, and about what"


@pytest.mark.parametrize("caller", SCOPED)
def test_agents_and_customers_are_told_of_the_operations_that_they_may_do(site: Site, caller: str) -> None:
    told = {
        f"{each['method']} {each['path']}"
        for each in json.loads(site.ask(caller, Asked("GET", "/me", None)).content)["operations"]
    }
    place = CALLERS.index(caller)
    assert told == {name for name, letters in verdicts().items() if letters[place] != "."}


@pytest.mark.parametrize("operation", CASES, ids=named)
def test_an_operation_answers_each_caller_by_its_verdict(site: Site, operation: Operation) -> None:
    own, foreign, absent = site.requests(operation)
    for caller, verdict in zip(CALLERS, verdicts()[named(operation)], strict=True):
        if verdict == "x" and caller not in WHOLE:
            assert site.is_let_in(caller, own), caller
            continue
        reply = site.ask(caller, own)
        if verdict == ".":
            assert reply.status == 403, (caller, reply)
        elif verdict == "h":
            assert reply.status == 404, (caller, reply)
            if absent is not None:
                assert reply.without(own) == site.ask(caller, absent).without(absent), caller
        else:
            is_behind = f'"code":"{BEHIND.get(named(operation))}"'.encode() in reply.content
            assert reply.status in DONE or is_behind, (caller, reply)
        if verdict in "xo" and caller in SCOPED:
            assert b"rival" not in reply.content, caller
        if verdict == "o":
            refused = site.ask(caller, foreign)
            assert refused.status == 404, (caller, refused)
            if named(operation) not in MAKES:
                assert refused.without(foreign) == site.ask(caller, absent).without(absent), caller
    if "{" in operation.path and absent is not None and named(operation) not in MAKES | ASKS_SWITCH:
        assert site.ask("administrator", absent).status in {403, 404}
