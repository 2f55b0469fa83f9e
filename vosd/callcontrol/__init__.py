"""Call control, where routing meets billing: admission, bookkeeping and explanation of a call. Pure."""
