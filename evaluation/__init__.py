"""How good the agent is: on held-out clips, on test sets of questions, in retrieval; with intervals, controls and reports."""
