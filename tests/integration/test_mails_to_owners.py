"""A running switch mails the owner of an account that runs out of money, and its agent."""

import asyncio
from pathlib import Path

from doubles.daemon import Daemon
from doubles.postbox import Postbox
from e2e.addresses import NETWORK

CONFIGURATION = """
sip: {listen: ["udp:$network.9:14093"]}
database: {url: "sqlite+aiosqlite:///$directory/vosd.db"}
state_dir: $directory/var
control_socket: $directory/vosd.sock
invoices: {name: Example Telecom}
alarms: {mail: {server: 127.0.0.1, port: $port, security: none, sender: a@b.net, recipients: noc@b.net, level: off}}
rate_groups: [{name: sell, rates: [{prefix: "44", billing_rate: "0.60"}]}]
accounts:
  - {id: acme, rate_group: sell, balance_low: "50", alarm_mail: owner@acme.example, agent: reseller}
  - {id: shop, rate_group: sell, balance_low: "50"}
  - {id: reseller, rate_group: sell, alarm_mail: ann@reseller.example}
""".replace("$network", NETWORK)
COMMANDS = ("ehlo", "mail from:<a@b.net>")
OF_AGENT = "rcpt to:<ann@reseller.example>"


async def test_owner_and_agent_are_mailed_when_little_is_left_whatever_the_operators_want(tmp_path: Path) -> None:
    postbox = Postbox((*COMMANDS, "rcpt to:<owner@acme.example>", OF_AGENT, "data"))
    await postbox.listen()
    daemon = Daemon(tmp_path, CONFIGURATION.replace("$port", str(postbox.port)))
    try:
        await asyncio.to_thread(daemon.__enter__)
        mail = await asyncio.wait_for(postbox.mails.get(), 60)
        assert (mail["To"], mail["Bcc"]) == ("owner@acme.example", None)
        assert mail["Subject"] == "Account acme: little money is left"
        assert mail.get_content().startswith("0.00 USD are left for calls of your account acme.")
    finally:
        await asyncio.to_thread(daemon.__exit__, None, None, None)
        postbox.close()
    assert postbox.faults == []
