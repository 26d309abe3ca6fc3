"""A model's answer: its label, the organ it names, and whether it answers the question."""
