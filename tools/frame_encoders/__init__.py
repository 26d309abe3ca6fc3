"""Encoders of frames by name, and the viewer that a knowledge base is built with."""
