"""What every layer stands on: errors, settings, file handling, site names, the research-use line."""

import os

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # read once, when huggingface_hub is imported
