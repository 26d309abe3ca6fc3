"""The base of all layers: errors, settings, files, the clock, the log, closed sets of words, and words of pathology."""

import os

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # huggingface_hub reads it when it is imported
