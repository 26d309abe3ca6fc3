"""LoRA adapters: their settings, merging, and PEFT's own format."""
