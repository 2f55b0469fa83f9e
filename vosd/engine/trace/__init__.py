"""Messages of recent calls, and followers of live calls."""
