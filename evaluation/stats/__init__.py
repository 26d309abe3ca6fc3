"""Statistics that all evaluations share: estimates with intervals, and paired tests."""
