"""Money over HTTP: booked once whatever happens to the request, the answer, or the process."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote

import pytest
from doubles.api import ADMINISTRATOR, AGENT, VIEWER, Api, Reply

from vosd.api.table import OPERATIONS

PAYMENTS = "/accounts/acme/payments"


def pay(api: Api, amount: str, key: str | None = None, **more: str) -> Reply:
    headers = {} if key is None else {"Idempotency-Key": key}
    return api.ask("POST", PAYMENTS, {"amount": amount, **more}, headers=headers)


def balance(api: Api) -> str:
    found: str = api.ask("GET", "/accounts/acme/balance").json["balance"]
    return found


def test_a_payment_is_booked_and_read_in_balance_ledger_and_statement(api: Api) -> None:
    assert api.ask("POST", "/accounts", {"name": "payer", "keys": {"currency": "USD"}}).status == 201
    made = api.ask("POST", "/accounts/payer/payments", {"amount": "10.50", "reference": "bank-1", "memo": "March"})
    assert made.status == 201, made.content
    (receipt,) = made.json["receipts"]
    assert made.json == receipt | {"receipts": [receipt], "waiting": None}, "the keys of the command line, too"
    assert (receipt["before"], receipt["amount"], receipt["after"]) == ("0.00", "10.50", "10.50")
    assert api.ask("GET", "/accounts/payer/balance").json["balance"] == "10.50"
    (entry,) = api.ask("GET", "/accounts/payer/payments").json["items"]
    assert (entry["kind"], entry["reference"], entry["operator"]) == ("payment", "bank-1", ADMINISTRATOR)
    month = entry["created_at"][:7]
    statement = api.ask("GET", f"/accounts/payer/statements/{month}").json
    assert (statement["opening"], statement["closing"]) == ("0.00", "10.50")
    assert api.ask("GET", "/accounts/payer/statements/2026-13").json["field"] == "month"
    assert {each["id"] for each in api.ask("GET", "/balances").json["items"]} >= {"acme", "payer", "reseller"}


@pytest.mark.parametrize("amount", ["0", "1e3", "ten", "NaN", "1" * 60, 10, 10.5, None])
def test_an_amount_that_is_none_books_nothing(api: Api, amount: object) -> None:
    before = balance(api)
    refused = api.ask("POST", PAYMENTS, {"amount": amount})
    assert (refused.status, refused.json["field"]) == (422, "amount"), refused.content
    assert balance(api) == before


def test_a_payment_below_zero_takes_back_what_was_booked(api: Api) -> None:
    before = balance(api)
    assert pay(api, "3").status == 201
    (taken,) = pay(api, "-3").json["receipts"]
    assert (taken["amount"], taken["after"], balance(api)) == ("-3.00", before, before)


def test_an_amount_with_which_the_balance_is_too_large_books_nothing(api: Api) -> None:
    before = balance(api)
    refused = pay(api, "999999999999")
    assert (refused.status, refused.json["code"], balance(api)) == (422, "balance_too_large", before)
    assert "with the amount 999999999999.00: amounts and balances are at most" in refused.json["detail"]


def test_a_reference_of_another_amount_and_an_unknown_account_are_refused(api: Api) -> None:
    assert pay(api, "1", reference="bank-2").status == 201
    again = pay(api, "1", reference="bank-2").json["receipts"][0]
    assert again["repeated"]
    assert pay(api, "2", reference="bank-2").json["code"] == "reference_taken"
    missing = api.ask("POST", "/accounts/missing/payments", {"amount": "1"})
    assert (missing.status, missing.json["code"]) == (404, "unknown_account")


def test_a_file_of_payments_is_read_and_nothing_is_booked(api: Api) -> None:
    before = balance(api)
    file = {"content": "account,amount,reference,memo\nacme,5,f-1,\nacme,7,f-2,cash\n"}
    found = api.ask("POST", "/payment-files", file).json["payments"]
    assert [(each["line"], each["amount"], each["memo"]) for each in found] == [(2, "5.00", None), (3, "7.00", "cash")]
    split = {"content": "account,amount,reference,memo\nacme,1,234.50,f-1\nacme,7,f-1,\nacme,,f-3,\n"}
    refused = api.ask("POST", "/payment-files", split)
    assert (refused.status, refused.json["code"], refused.json["field"]) == (422, "bad_payment_file", "content")
    assert [each["detail"][:25] for each in refused.json["errors"]] == [
        "line 2: is 1,234.50 one a",
        "line 4: no amount",
    ]
    absent = {"content": "account,amount,reference\nacme,5,f-1\nacmee,7,f-2\nacmee,8,f-3\n"}
    refused = api.ask("POST", "/payment-files", absent)
    assert [each["detail"] for each in refused.json["errors"]] == [
        f"line {line}: no account 'acmee' is configured; did you mean 'acme'?" for line in (3, 4)
    ]
    assert api.ask("POST", "/payment-files", file, token=VIEWER).status == 403
    assert balance(api) == before


def test_a_request_that_must_be_a_repeat_is_refused_where_the_first_one_has_not_come(api: Api) -> None:
    before = balance(api)
    repeat = {"Idempotency-Key": "order-23", "Idempotency-Repeat": "true"}
    refused = api.ask("POST", PAYMENTS, {"amount": "5"}, headers=repeat)
    assert (refused.status, refused.json["code"], balance(api)) == (409, "key_unknown", before)
    keyless = api.ask("POST", PAYMENTS, {"amount": "5"}, headers={"Idempotency-Repeat": "true"})
    assert (keyless.status, keyless.json["code"], balance(api)) == (422, "bad_key", before)
    first = pay(api, "5", key="order-23")
    again = api.ask("POST", PAYMENTS, {"amount": "5"}, headers=repeat)
    assert (again.status, again.content, again.headers["idempotent-replayed"]) == (201, first.content, "true")
    assert Decimal(balance(api)) == Decimal(before) + 5


def test_a_repeat_with_the_same_key_gets_the_first_answer_and_another_body_is_refused(api: Api) -> None:
    before = balance(api)
    first = pay(api, "5", key="order-17")
    again = pay(api, "5", key="order-17")
    assert (again.status, again.content) == (first.status, first.content)
    assert ("idempotent-replayed" in first.headers, again.headers["idempotent-replayed"]) == (False, "true")
    assert Decimal(balance(api)) == Decimal(before) + 5
    other = pay(api, "6", key="order-17")
    assert (other.status, other.json["code"]) == (409, "key_reused")
    theirs = api.ask(
        "POST", PAYMENTS, {"amount": "6"}, token=f"{ADMINISTRATOR}-2", headers={"Idempotency-Key": "order-17"}
    )
    assert theirs.status == 201, "keys of one principal are not those of another"
    assert pay(api, "1", key="\t").json["code"] == "bad_key"
    tried = api.ask("POST", "/accounts?dry_run=true", {"name": "new", "keys": {}}, headers={"Idempotency-Key": "\t"})
    assert tried.json["code"] == "bad_key", "also where it is not used"


def test_a_trial_of_a_payment_books_nothing_and_spends_no_key(api: Api) -> None:
    assert pay(api, "1").status == 201, "the transfer below needs money"
    before, path = balance(api), f"{PAYMENTS}?dry_run=true"
    entries = api.ask("GET", f"{PAYMENTS}?limit=1000").content
    lines = api.ask("GET", "/audit?limit=1000").content
    key, body = {"Idempotency-Key": "order-19"}, {"amount": "5", "reference": "tried"}
    tried = api.ask("POST", path, body, headers=key)
    assert (tried.status, tried.json["dry_run"]) == (201, True)
    assert (tried.json["before"], tried.json["amount"], Decimal(tried.json["after"])) == (
        before, "5.00", Decimal(before) + 5,
    )  # fmt: skip
    again = api.ask("POST", path, {"amount": "6"}, headers=key)
    assert (again.status, again.json["repeated"], "idempotent-replayed" in again.headers) == (201, False, False)
    moved = {"source": "acme", "target": "reseller", "amount": "0.50"}
    ends = api.ask("POST", "/transfers?dry_run=true", moved, headers=key)
    assert (ends.status, [each["amount"] for each in ends.json["receipts"]]) == (201, ["-0.50", "0.50"])
    too_much = api.ask("POST", "/transfers?dry_run=true", {**moved, "amount": "1000000"})
    assert too_much.json["code"] == "too_little_left"
    assert api.ask("POST", path, {"amount": "0"}).json["field"] == "amount"
    assert api.ask("POST", PAYMENTS, {"amount": "5", "dry_run": True}).json["field"] == "dry_run"
    assert balance(api) == before
    assert api.ask("GET", f"{PAYMENTS}?limit=1000").content == entries
    assert api.ask("GET", "/audit?limit=1000").content == lines
    assert (tried.json["id"], tried.json["receipts"][0]["id"]) == (None, None)
    made = api.ask("POST", PAYMENTS, body, headers=key)
    assert made.json["id"] == api.ask("GET", f"{PAYMENTS}?limit=1").json["items"][-1]["id"]
    assert made.json["receipts"][0]["id"] == made.json["id"]
    assert (made.status, made.json["repeated"], "dry_run" in made.json) == (201, False, False)
    assert made.json["after"] == tried.json["after"]


def test_a_request_that_failed_may_be_repeated_with_its_key(api: Api) -> None:
    assert pay(api, "7", key="order-18", type="unknown").status == 422
    assert pay(api, "7", key="order-18").status == 201


def test_a_definition_that_is_made_twice_with_a_key_is_made_once(api: Api) -> None:
    body, key = {"name": "shop", "keys": {}}, {"Idempotency-Key": "shop-1"}
    first = api.ask("POST", "/accounts", body, headers=key)
    again = api.ask("POST", "/accounts", body, headers=key)
    assert (first.status, again.status, again.content) == (201, 201, first.content)
    assert len(api.ask("GET", "/accounts/shop/versions").json["items"]) == 1


def test_who_may_only_read_books_nothing_and_an_agent_pays_for_those_below_it_alone(api: Api) -> None:
    assert api.ask("POST", PAYMENTS, {"amount": "1"}, token=VIEWER).status == 403
    agent = f"{AGENT}reseller"
    assert api.ask("GET", "/accounts/acme/balance", token=agent).status == 200
    assert api.ask("GET", "/accounts/shop/balance", token=agent).status == 404
    assert api.ask("GET", "/accounts/missing/balance", token=agent).status == 404
    assert api.ask("POST", PAYMENTS, {"amount": "1", "type": "adjustment"}, token=agent).status == 422
    file = {"content": "account,amount,reference\nacme,1,f-1\nshop,1,f-2\nmissing,1,f-3\n"}
    refused = api.ask("POST", "/payment-files", file, token=agent)
    assert (refused.status, refused.json["code"]) == (422, "bad_payment_file")
    said = [each["detail"] for each in refused.json["errors"]]
    assert [each.replace("missing", "shop").replace("line 4", "line 3") for each in said] == [said[0]] * 2, (
        "an account that it does not see is as one that is not there"
    )
    own = api.ask("POST", "/payment-files", {"content": file["content"].partition("shop")[0]}, token=agent)
    assert [each["currency"] for each in own.json["payments"]] == ["USD"]


@contextmanager
def mute_switch(path: Path) -> Iterator[socket.socket]:
    """Listen where the running switch would, and never answer."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.settimeout(60)
        try:
            yield listener
        finally:
            path.unlink()


def next_order(listener: socket.socket) -> socket.socket:
    """Return the next connection with an order; reports of answers, which come at any time, get none."""
    while True:
        connection, _ = listener.accept()
        order = connection.recv(65_536)
        if b"count_api_answers" not in order:
            assert order
            return connection
        connection.close()


def test_a_payment_whose_process_is_killed_before_it_answers_is_booked_once(killed: Api) -> None:
    content = {"amount": "20"}
    with mute_switch(killed.config.parent / "vosd.sock") as switch:
        sent = killed.request("POST", PAYMENTS, content, headers={"Idempotency-Key": "order-1"})
        with killed.connect() as connection:
            connection.sendall(sent)
            with next_order(switch):  # the money is booked: the switch is to read the balance
                killed.kill()
    killed.start()
    repeated = killed.ask("POST", PAYMENTS, content, headers={"Idempotency-Key": "order-1"})
    assert (repeated.status, repeated.headers["idempotent-replayed"]) == (201, "true"), repeated.content
    assert repeated.json["receipts"][0]["repeated"]
    assert balance(killed) == "20.00"
    assert killed.ask("POST", PAYMENTS, content, headers={"Idempotency-Key": "order-1"}).content == repeated.content
    assert len(killed.ask("GET", PAYMENTS).json["items"]) == 1


def test_the_ledger_is_read_page_by_page_whole_or_of_one_account(api: Api) -> None:
    for number in range(3):
        assert pay(api, "1", reference=f"page-{number}").status == 201
        other = api.ask("POST", "/accounts/reseller/payments", {"amount": "2", "reference": f"page-{number}"})
        assert other.status == 201
    everything = [each["id"] for each in api.ask("GET", "/ledger?limit=1000").json["items"]]
    assert everything == sorted(everything)
    for account, number in (("", len(everything)), ("&account=reseller", 3)):
        found, cursor = [], ""
        while True:
            page = api.ask("GET", f"/ledger?limit=2{account}{cursor}").json
            found += page["items"]
            if page["next"] is None:
                break
            cursor = f"&cursor={page['next']}"
        assert len({each["id"] for each in found}) == len(found) == number
    assert api.ask("GET", "/ledger", headers={"Accept": "text/csv"}).content.count(b"\r\n") == len(everything) + 1


def walked(api: Api, path: str, limit: int) -> list[list[dict[str, object]]]:
    """Return the pages of a list."""
    pages, cursor = [], ""
    while not pages or cursor:
        page = api.ask("GET", f"{path}{'&' if '?' in path else '?'}limit={limit}{cursor}").json
        pages.append(page["items"])
        cursor = f"&cursor={page['next']}" if page["next"] else ""
    return pages


SHORT = {
    "needs a running switch": {
        "/alarms", "/blacklist", "/calls", "/gateways/quality", "/registrations", "/scheduled-reports", "/sources",
        "/webhooks/dead-letters",
    },
    "needs calls, rates or months": {
        "/accounts/acme/rates", "/cdrs", "/invoices", "/ledger/profit", "/rates/groups", "/rates/lookup",
        "/reconciliations", "/statements/{month}",
    },
    "has two items only after long work": {"/backups", "/jobs", "/planned-versions", "/waiting-payments"},
    "is paged as `/number-lists`": {
        "/address-groups", "/calendars", "/dids", "/gateway-groups", "/mapping-gateways", "/number-pools", "/phones",
        "/rate-groups", "/report-schedules", "/routing-gateways", "/routing-plans", "/templates",
    },
    "is asked with a moment": {"/ledger/balances"},
    "is paged as `/tokens`": {"/agents", "/people", "/views"},
}  # fmt: skip
"""Lists of which there are no two items here, by the reason; tests/unit/api pages those that are read whole, too."""


def test_every_list_is_read_whole_page_by_page(api: Api) -> None:
    for number in range(5):
        assert pay(api, "1", reference=f"walk-{number}").status == 201
    for name in ("acme", "reseller"):
        assert api.ask("POST", f"/accounts/{name}/block", {}).status == 200
        keys = {"patterns": ["4477*"]}
        assert api.ask("POST", "/number-lists", {"name": f"walk-{name}", "keys": keys}).status == 201
        assert api.ask("POST", "/tokens", {"name": f"walk-{name}", "role": "viewer"}).status == 201
        assert api.ask("PUT", "/parameters/SS_SIP_SESSION_TTL", {"value": str(900 + len(name))}).status in {200, 201}
    lengths = {}
    for operation in OPERATIONS:
        path = operation.path.replace("{account}", "acme")
        if operation.method != "GET" or operation.listing is None or path.count("{") > path.count("{month}"):
            continue
        whole = api.ask("GET", f"{path}?limit=1000")
        lengths[path] = len(whole.json["items"]) if whole.status == 200 else 0
        if lengths[path]:
            assert sum(map(len, walked(api, path, 1))) == lengths[path], path
    assert {path for path, length in lengths.items() if length < 2} == set().union(*SHORT.values())
    for name in ("acme", "reseller"):
        assert api.ask("DELETE", f"/accounts/{name}/block").status == 200


def test_the_ledger_of_an_account_begins_with_its_last_page_and_leads_to_older_ones(api: Api) -> None:
    for number in range(5):
        assert pay(api, "1", reference=f"older-{number}").status == 201
    for path in (PAYMENTS, "/accounts/acme/ledger"):
        whole = api.ask("GET", f"{path}?limit=1000").json["items"]
        numbers = [each["seq"] for each in whole]
        assert numbers == sorted(numbers)
        pages = walked(api, path, 2)
        assert [each["seq"] for each in pages[0]] == numbers[-2:]
        assert [each["seq"] for page in reversed(pages) for each in page] == numbers
        for sort, order in (("id", numbers), ("-id", numbers[::-1])):
            found = walked(api, f"{path}?sort={sort}", 2)
            assert [each["seq"] for page in found for each in page] == order
        lines = api.ask("GET", f"{path}?fields=seq&limit=2", headers={"Accept": "text/csv"}).content.decode()
        assert lines.split() == ["seq", *map(str, numbers[-2:])]
        lines = api.ask("GET", f"{path}?fields=seq", headers={"Accept": "text/csv"}).content.decode()
        assert lines.split() == ["seq", *map(str, numbers)]
        cursor = api.ask("GET", f"{path}?limit=2").json["next"]
        lines = api.ask("GET", f"{path}?fields=seq&limit=2&cursor={cursor}", headers={"Accept": "text/csv"}).content
        assert lines.decode().split() == ["seq", *map(str, numbers[-4:-2])]
        refused = api.ask("GET", f"{path}?cursor={cursor}", headers={"Accept": "text/csv"})
        assert (refused.status, refused.json["field"], refused.json["remedy"]) == (422, "cursor", "add `limit`")
        cursor = api.ask("GET", f"{path}?limit=2&sort=-id").json["next"]
        lines = api.ask("GET", f"{path}?fields=seq&sort=-id&cursor={cursor}", headers={"Accept": "text/csv"}).content
        assert lines.decode().split() == ["seq", *map(str, numbers[-3::-1])]


def test_calls_are_filtered_by_the_names_of_their_fields_too(api: Api) -> None:
    assert api.ask("GET", "/cdrs?end_reason=Busy&customer_account=acme&vendor_account=reseller").status == 200
    assert api.ask("GET", "/cdrs?end_reason=Bussy").json["code"] == "unknown_name"
    twice = api.ask("GET", "/cdrs?reason=Busy&end_reason=Normal")
    assert (twice.status, twice.json["field"]) == (422, "end_reason")
    assert api.ask("GET", "/cdrs?answered=true&customer_account=acme").status == 200, "an index serves it"


def test_a_cursor_is_of_one_order_and_an_order_is_said_once(api: Api) -> None:
    for number in range(3):
        assert pay(api, "1", reference=f"order-{number}").status == 201
    for path in ("/ledger", PAYMENTS, "/audit", "/balances"):
        cursors = {sort: api.ask("GET", f"{path}?limit=1{sort}").json["next"] for sort in ("", "&sort=id", "&sort=-id")}
        for sort, cursor in cursors.items():
            for other in cursors:
                found = api.ask("GET", f"{path}?limit=1{other}&cursor={cursor}")
                assert (found.status, found.json.get("field")) == ((200, None) if sort == other else (422, "cursor"))
    refused = api.ask("GET", "/ledger?newest_first=true&sort=id")
    assert (refused.status, refused.json["field"]) == (422, "sort")


def test_a_key_that_sorts_no_list_is_refused_with_those_that_do(api: Api) -> None:
    for path, ways in (("/cdrs", "one of started_at, -started_at"), ("/statements/2026-03", "nothing sorts this list")):
        refused = api.ask("GET", f"{path}?sort=fee")
        assert (refused.status, refused.json["field"], refused.json["remedy"]) == (422, "sort", ways)


def test_amounts_are_sorted_as_numbers(api: Api) -> None:
    for account, amount in (("acme", "9"), ("reseller", "100")):
        booked = api.ask("POST", f"/accounts/{account}/payments", {"amount": amount, "type": "adjustment"})
        assert booked.status == 201
    for path in ("/balances?", "/ledger/balances?at=9000-01-01T00:00:00Z&"):
        for sign, turned in (("", False), ("-", True)):
            found = [page[0]["balance"] for page in walked(api, f"{path}sort={sign}balance", 1)]
            assert len(found) > 1
            assert found == sorted(found, key=Decimal, reverse=turned)
            assert found != sorted(found, reverse=turned)


def test_statements_of_many_accounts_and_balances_at_a_moment_are_one_request(api: Api) -> None:
    first = api.ask("GET", "/statements/2026-03?accounts=reseller,acme&limit=1").json
    assert [each["account"] for each in first["items"]] == ["reseller"]
    rest = api.ask("GET", f"/statements/2026-03?accounts=reseller,acme&limit=1&cursor={first['next']}").json
    assert ([each["account"] for each in rest["items"]], rest["next"]) == (["acme"], None)
    assert {"acme", "reseller"} <= {
        each["account"] for each in api.ask("GET", "/statements/2026-03?all=true").json["items"]
    }
    assert api.ask("GET", "/statements/2026-03").json["field"] == "accounts"
    refused = api.ask("GET", "/statements/2026-03?all=true", token=f"{AGENT}reseller")
    assert (refused.status, refused.json["field"]) == (422, "accounts")
    assert pay(api, "4").status == 201
    before = api.ask("GET", "/ledger/balances?at=2026-01-01T00:00:00Z").json["items"]
    assert {each["balance"] for each in before} == {"0.00"}
    now = {
        each["account"]: each["balance"]
        for each in api.ask("GET", "/ledger/balances?at=9000-01-01T00:00:00Z").json["items"]
    }
    assert now["acme"] == balance(api)
    pages = [*walked(api, "/ledger/balances?at=9000-01-01T00:00:00Z", 1)]
    assert {each["account"]: each["balance"] for page in pages for each in page} == now
    assert api.ask("GET", "/ledger/balances?at=2026-01-01T00:00:00Z", token=f"{AGENT}reseller").status == 403
    profit = api.ask("GET", "/ledger/profit?since=2026-01-01T00:00:00Z&until=2026-02-01T00:00:00Z").json
    assert profit == {"items": [], "next": None}


@pytest.mark.parametrize("fee", ["NaN", "1e3", -1, 0.5, "-1"])
def test_a_correction_of_an_impossible_amount_or_an_unknown_call_is_refused(api: Api, fee: object) -> None:
    body = {"charges": [{"role": "customer", "fee": fee}], "memo": "test"}
    refused = api.ask("POST", "/cdrs/0123456789abcdef/corrections", body)
    assert refused.status == 422, refused.content
    body = {"charges": [{"role": "customer", "fee": "0.50"}], "memo": "test"}
    assert api.ask("POST", "/cdrs/0123456789abcdef/corrections", body).json["code"] == "no_record"
    assert api.ask("GET", "/cdrs/0123456789abcdef/corrections").json["code"] == "no_record"


def test_accounts_with_commas_and_backslashes_in_their_names_are_named_in_lists(api: Api) -> None:
    names = ("Acme, Inc.", "back\\slash", "end\\")
    for name in names:
        assert api.ask("POST", "/accounts", {"name": name, "keys": {"currency": "USD"}}).status == 201
    named = quote(r"Acme\, Inc.,back\slash,end\\,acme")
    assert {each["id"] for each in api.ask("GET", f"/balances?accounts={named}").json["items"]} == {*names, "acme"}
    months = api.ask("GET", f"/statements/2026-03?accounts={named}").json["items"]
    assert [each["account"] for each in months] == [*names, "acme"]
