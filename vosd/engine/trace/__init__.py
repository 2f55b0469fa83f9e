"""Messages of calls, kept for a while, and the commands that follow them live."""
