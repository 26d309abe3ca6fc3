"""The vote of the nearest cases: how it is cast, who casts it, and how often it is right."""
