"""Which configurations are tried, and the record of what each gave."""
