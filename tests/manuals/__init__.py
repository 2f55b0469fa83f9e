"""Pages of docs that are generated from the code; a test compares each with its page."""
