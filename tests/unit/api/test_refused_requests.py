"""Requests beyond what their sender may: one line at once, and one with the number of the others a minute later."""

from pathlib import Path

from doubles.api import AGENT, CUSTOMER, VIEWER, identify
from doubles.asgi import answered
from doubles.migrated import migrated
from doubles.office import agent, customer
from doubles.turns import turns
from structlog.testing import capture_logs

from vosd.admin.office.principal import Principal
from vosd.api.application import Application
from vosd.api.jobs import Jobs
from vosd.api.offices import Offices
from vosd.api.refused_requests import RefusedRequests
from vosd.api.routes import Routes
from vosd.api.table import OPERATIONS


def ask(refused: RefusedRequests, who: Principal, path: str = "/api/v1/accounts/rival/balance") -> None:
    refused.note(who, "192.0.2.1", "GET", path, "out_of_scope")


async def turn() -> None:
    await turns(3)  # a timer of no time is due in the next turn of the loop


async def test_the_first_request_is_logged_and_the_others_are_counted_in_the_next_line() -> None:
    refused = RefusedRequests(period_s=0)
    with capture_logs() as log:
        for number in range(300):
            ask(refused, agent("south"), f"/api/v1/accounts/rival{number}/balance")
        ask(refused, customer("shop"))
        assert [(each["who"], each["path"][-14:], each["count"]) for each in log] == [
            ("terminal root", "rival0/balance", 1), ("page jane", "/rival/balance", 1),
        ]  # fmt: skip
        await turn()
    (line,) = log[2:]
    assert (line["event"], line["who"], line["account"], line["count"]) == (
        "request_out_of_scope", "terminal root", "south", 299,
    )  # fmt: skip
    assert (line["source"], line["why"], line["log_level"]) == ("192.0.2.1", "out_of_scope", "warning")


async def test_a_sender_that_has_stopped_is_forgotten() -> None:
    refused = RefusedRequests(period_s=0)
    ask(refused, agent("south"))
    await turn()
    with capture_logs() as log:
        await turn()
        assert log == []
        ask(refused, agent("south"))
    assert [each["count"] for each in log] == [1]


async def test_requests_for_what_belongs_to_others_and_for_orders_of_operators_are_logged(tmp_path: Path) -> None:
    config = tmp_path / "vosd.yaml"
    config.write_text(
        f"database: {{url: '{migrated(tmp_path / 'vosd.db')}'}}\nstate_dir: {tmp_path}\n"
        f"control_socket: {tmp_path}/vosd.sock\n"
        "accounts: [{id: acme}, {id: shop, agent: south}, {id: rival}, {id: south}, {id: west}]\n"
    )
    async with Offices(config) as offices:
        application = Application(offices, identify, Routes(OPERATIONS), Jobs(config, offices))

        async def code_of(path: str, account: str, role: str = CUSTOMER, form: str = "*/*") -> str | None:
            head = {"authorization": f"Bearer {role}{account}", "accept": form}
            return (await answered(application, "GET", path, None, head)).json.get("code")

        with capture_logs() as log:
            assert await code_of("/accounts/acme/balance", "acme") is None
            assert await code_of("/accounts/rival/balance?consumption=false", "acme") == "out_of_scope"
            assert await code_of("/accounts/none/balance", "acme") == "out_of_scope"
            assert await code_of("/audit", "shop") == "permission_lacking"
            assert await code_of("/accounts/shop/ledger", "south", AGENT) == "right_lacking"
            assert await code_of("/accounts/rival", "south", AGENT) == "no_such_object"
            assert await code_of("/invoices/1", "west") == "no_such_invoice"
            assert await code_of("/cdrs/0123456789abcdef", "rival") == "no_record"
            for form in ("text/csv", "application/x-ndjson"):
                assert await code_of("/accounts/acme/ledger", "south", form=form) == "out_of_scope"
            for absent in ("/accounts/none", "/invoices/1", "/cdrs/0123456789abcdef"):
                assert (await code_of(absent, "", VIEWER) or "").startswith("no_")
    found = [(each["who"], each["account"], each["path"], each["why"]) for each in log]
    assert found == [
        ("token customer:acme", "acme", "/api/v1/accounts/rival/balance", "out_of_scope"),
        ("token customer:shop", "shop", "/api/v1/audit", "permission_lacking"),
        ("token agent:south", "south", "/api/v1/accounts/rival", "no_such_object"),
        ("token customer:west", "west", "/api/v1/invoices/1", "no_such_invoice"),
        ("token customer:south", "south", "/api/v1/accounts/acme/ledger", "out_of_scope"),
    ]
