"""A person's data in texts and names of files: it is recognised, masked, and replaced by a hash in paths."""
