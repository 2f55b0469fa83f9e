"""Tables of rates as others send them: read from sheets, mapped to our columns, checked as a rate file is, sorted."""
