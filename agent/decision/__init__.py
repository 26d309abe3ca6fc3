"""The decision on a look: confidence, fusion with the cases' vote, abstention, and what would help."""
