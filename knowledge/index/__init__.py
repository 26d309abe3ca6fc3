"""How records are found: embeddings, FAISS, full text, and fingerprints of frames."""
