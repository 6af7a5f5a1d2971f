"""Bottega: a workbench for multimodal recommendation, from pictures and words to a table of results."""
