"""Models, as Elliot's users expect to find them."""
