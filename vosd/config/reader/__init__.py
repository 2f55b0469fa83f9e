"""From files to typed values that know their file and line."""
