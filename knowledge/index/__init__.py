"""How records are found: encoders, FAISS indexes, full text, and fingerprints of frames."""
