"""Answers from a loaded network: the engine, its sessions, decoding, and vectors of frames."""
