"""Programs that tests start: the daemon, a database server, a service manager."""
