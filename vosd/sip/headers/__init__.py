"""Header fields as value types, one a file, read from the text of a message when somebody asks."""
