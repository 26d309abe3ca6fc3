"""Training from a recipe: the data, trainings from random weights, and transfers in stages."""
