"""Inference with a loaded network: engines, sessions, decoding and vectors of frames."""
