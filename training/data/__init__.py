"""Training data: nano's corpus of tiles and slides, and conversations in the LLaVA format."""
