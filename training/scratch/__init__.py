"""Training a small model from nothing, as the bundled nano was."""
