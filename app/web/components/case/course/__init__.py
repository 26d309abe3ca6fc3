"""How a case got to its answer: its steps, rounds and graph."""
