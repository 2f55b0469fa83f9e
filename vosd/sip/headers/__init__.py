"""Header fields as value types, one in each file, parsed from the text of a message on demand."""
