"""Frame encoders by name, one vector for a clip, and the viewer that a knowledge base is built with."""
