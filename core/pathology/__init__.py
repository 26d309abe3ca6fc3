"""The words of pathology: anatomical sites, terms, and entities with their other names."""
