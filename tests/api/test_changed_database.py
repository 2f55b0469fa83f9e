"""Another database in the file of a running switch: it is used by nothing before the switch uses it."""

from pathlib import Path

from doubles.api import Api
from doubles.daemon import Daemon
from doubles.migrated import migrated
from e2e.addresses import API_SWITCH

ACME = "/accounts/acme"
CONFIGURATION = f"""\
sip: {{listen: ["udp:{API_SWITCH}"]}}
database: {{url: 'sqlite+aiosqlite:///$directory/vosd.db'}}
state_dir: $directory/var
control_socket: $directory/vosd.sock
accounts: [{{id: acme}}]
"""


def balance(api: Api) -> str:
    found: str = api.ask("GET", f"{ACME}/balance").json["balance"]
    return found


def test_payments_go_to_the_database_of_the_running_switch_until_it_has_another(tmp_path: Path) -> None:
    migrated(tmp_path / "other.db")
    with Daemon(tmp_path, CONFIGURATION.replace("$directory", str(tmp_path))) as daemon:
        file = daemon.configuration_file
        with Api(file) as api:
            assert api.ask("POST", f"{ACME}/payments", {"amount": "100"}).status == 201
            file.write_text(file.read_text().replace("vosd.db", "other.db"))
            assert api.ask("POST", f"{ACME}/payments", {"amount": "50"}).json["after"] == "150.00"

            refused = daemon.verb("payment", "add", "--account", "acme", "--amount", "5")
            assert refused.code == 3
            assert f"database.url: expected the database on which the running switch works ({tmp_path}/vosd.db)" in (
                refused.stderr
            )
            daemon.interrupt()
            daemon.start()
            assert balance(api) == "0.00"
            daemon.succeed("payment", "add", "--account", "acme", "--amount", "5")
            assert balance(api) == "5.00"
            daemon.interrupt()
            file.write_text(file.read_text().replace("other.db", "vosd.db"))
            assert balance(api) == "150.00", "without a switch the file decides"
