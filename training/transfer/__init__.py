"""Training in stages from a checkpoint, as the published model was."""
