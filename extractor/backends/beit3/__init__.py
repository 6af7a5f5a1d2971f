"""BEiT-3, written from its specification; and what it shares with VLMo (`checkpoint`, `images`, `unified`)."""
