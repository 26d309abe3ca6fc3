"""What every layer stands on: errors, settings, file handling, site names, the research-use line."""
