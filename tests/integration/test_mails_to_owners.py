"""A running switch mails the owner of an account that runs out of money, and its agent."""

import asyncio
import signal
from decimal import Decimal
from email.message import EmailMessage
from functools import partial
from pathlib import Path

import pytest
from doubles.daemon import Daemon
from doubles.data.records import STARTED, answered_call
from doubles.migrated import migrated
from doubles.postbox import Postbox
from e2e.addresses import NETWORK
from e2e.conditions import eventually

from vosd.cdr.retention import DAY_MS
from vosd.storage.books import SqlBooks
from vosd.storage.database import Database
from vosd.storage.payments import SqlPayments
from vosd.storage.ports import EntryKind, Payment
from vosd.storage.traffic import SqlTraffic

CONFIGURATION = """
sip: {listen: ["udp:$network.9:14093"]}
database: {url: "sqlite+aiosqlite:///$directory/vosd.db"}
state_dir: $directory/var
control_socket: $directory/vosd.sock
invoices: {name: Example Telecom}
alarms:
  off: balance_low
  mail: {server: 127.0.0.1, port: $port, security: none, sender: a@b.net, recipients: noc@b.net, level: off}
rate_groups: [{name: sell, rates: [{prefix: "44", billing_rate: "0.60"}]}]
accounts:
  - {id: acme, rate_group: sell, $terms, alarm_mail: owner@acme.example, agent: reseller}
  - {id: shop, rate_group: sell, $terms}
  - {id: reseller, rate_group: sell, alarm_mail: ann@reseller.example}
""".replace("$network", NETWORK)
PAY = ("payment", "add", "--account", "acme", "--amount")
COMMANDS = ("ehlo", "mail from:<a@b.net>")
OF_AGENT = "rcpt to:<ann@reseller.example>"


async def use_fifty_a_day(url: str) -> None:
    """Book calls of a day that is added up, and payments for them."""
    async with Database(url) as database:
        for number, name in enumerate(("acme", "shop")):
            fifty = Decimal(50)
            await SqlBooks(database).book([answered_call(number, customer_account=name, fee=fifty)])
            paid = Payment(account=name, kind=EntryKind.PAYMENT, reference="1", made_at=STARTED, amount=fifty)
            await SqlPayments(database).add(paid)
        traffic = SqlTraffic(database)
        assert await traffic.advance() == 2
        assert await traffic.close_day(STARTED + 2 * DAY_MS)


@pytest.mark.parametrize("terms", ['balance_low: "50"', "balance_low_hours: 24"])
async def test_owner_and_agent_are_mailed_each_time_that_little_is_left_whatever_the_operators_want(
    tmp_path: Path, terms: str
) -> None:
    await use_fifty_a_day(await asyncio.to_thread(migrated, tmp_path / "vosd.db"))
    postbox = Postbox((*COMMANDS, "rcpt to:<owner@acme.example>", OF_AGENT, "data"))
    await postbox.listen()
    daemon = Daemon(tmp_path, CONFIGURATION.replace("$port", str(postbox.port)).replace("$terms", terms))

    async def mailed() -> EmailMessage:
        return await asyncio.wait_for(postbox.mails.get(), 60)

    async def recovers(amount: str) -> None:
        """Pay an amount, and take 20 back when that is enough."""
        before = count_of(daemon, "balance_recovered")
        assert (await asyncio.to_thread(daemon.verb, *PAY, amount)).code == 0
        is_over = partial(count_above, daemon, "balance_recovered", before)
        await asyncio.to_thread(eventually, is_over, "the balance is low no more")
        assert (await asyncio.to_thread(daemon.verb, *PAY, "-20")).code == 0

    try:
        await asyncio.to_thread(daemon.__enter__)
        mail = await mailed()
        assert (mail["To"], mail["Bcc"]) == ("owner@acme.example", None)
        assert mail["Subject"] == "Account acme: little money is left"
        assert mail.get_content().startswith("0.00 USD are left for calls of your account acme.")
        await recovers("60")
        assert (await mailed()).get_content().startswith("40.00 USD are left")
        daemon.signal(signal.SIGTERM)
        assert await asyncio.to_thread(daemon.wait) == 0
        low = count_of(daemon, "balance_low")
        await asyncio.to_thread(daemon.start)
        is_low_again = partial(count_above, daemon, "balance_low", low + 1)  # of both accounts
        await asyncio.to_thread(eventually, is_low_again, "low balances are logged after a start")
        await recovers("25")
        assert (await mailed()).get_content().startswith("45.00 USD are left"), "the start has mailed nothing"
    finally:
        await asyncio.to_thread(daemon.__exit__, None, None, None)
        postbox.close()
    assert (postbox.faults, postbox.mails.qsize()) == ([], 0)


def count_of(daemon: Daemon, event: str) -> int:
    return sum(line.get("event") == event for line in daemon.log())


def count_above(daemon: Daemon, event: str, known: int) -> bool:
    return count_of(daemon, event) > known
