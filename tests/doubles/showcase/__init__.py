"""``make run DEMO=1``: an example installation with calls of days past, running calls, alarms and an invoice."""
