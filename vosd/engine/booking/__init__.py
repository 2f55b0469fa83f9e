"""From the journal to the database: booking, account balances, comparison after an outage."""
