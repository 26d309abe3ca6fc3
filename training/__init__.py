"""Training from a recipe: data, stages from scratch, stages of a transfer."""
