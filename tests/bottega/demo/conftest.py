"""A demo shop small enough to be drawn in a moment."""

import pytest

from bottega.demo import Catalogue, CatalogueSpec, draw


@pytest.fixture(scope="session")
def shop() -> Catalogue:
    return draw(CatalogueSpec(n_items=400, n_users=400, n_interactions=6_000, seed=3))


@pytest.fixture(scope="session")
def tiny() -> CatalogueSpec:
    return CatalogueSpec(n_items=20, n_users=30, n_interactions=200, picture_size=32)
