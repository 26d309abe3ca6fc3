"""A batch on a Ray cluster: the cases stream through a pool of actors, each of which holds the model."""
