"""Many cases: rows of a manifest, worked on by several processes, with a journal that a second start continues."""
