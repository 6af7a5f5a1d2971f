"""Data sets in the forms of other frameworks: in, and out again."""
