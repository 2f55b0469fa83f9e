"""Faults of the machine around the switch: the daemon as a process, its disk, its files, its database, kill -9."""
