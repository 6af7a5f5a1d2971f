"""Split + features -> a grid of models and a table of results."""
