"""The files of a knowledge base: records in SQLite, the manifest, and how one version follows another."""
