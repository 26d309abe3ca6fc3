"""What a model's answer says: its label, and whether the question can be answered by one."""
