"""What frames show before any network sees them: tissue or not, writing, stain, measured attributes."""
