"""Programs that tests start: the daemon and a database server."""
