"""The graph of a case: its nodes, routes, state and steps."""
