"""Random kills and stops of the switch and of its database while calls run, and what the books say afterwards."""
