"""Training of a small model from random weights, as the bundled nano was trained."""
