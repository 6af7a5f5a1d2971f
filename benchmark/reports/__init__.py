"""Results as files and as a table in the terminal."""
