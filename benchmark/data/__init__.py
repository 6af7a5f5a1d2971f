"""Interactions on disk, splits, integer ids, and the features that go with them."""
