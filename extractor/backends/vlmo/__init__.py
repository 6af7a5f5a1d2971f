"""VLMo, written from its specification."""
