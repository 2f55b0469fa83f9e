"""Processes beside the switch: how they are started, how long they live, and how the two talk."""
