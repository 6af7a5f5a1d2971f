"""Results folders: found by name, listed, compared, removed."""
