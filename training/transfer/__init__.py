"""Transfer in stages, from a checkpoint or from a decoder and a tower, as the published model was trained."""
