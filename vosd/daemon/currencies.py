"""Report accounts whose configured currency differs from the ledger like other errors of the configuration."""

from vosd.catalogue.problems import ConfigError, ProblemList
from vosd.config.load import Loaded
from vosd.engine.booking.balances import CurrencyChangedError


def as_mistakes(error: CurrencyChangedError, loaded: Loaded) -> ConfigError:
    """Return an error that names each such account with its file and line, and the remedy."""
    problems = ProblemList()
    for name, held in error.held.items():
        expected = (
            f"{held}, the currency of the money that this account has in the ledger and in running calls; for another "
            "currency add an account with another id"
        )
        written = loaded.catalogue.accounts[name].currency
        problems.error(loaded.account_places[name], f"accounts[{name}].currency", expected, written)
    return ConfigError(problems.in_order())
