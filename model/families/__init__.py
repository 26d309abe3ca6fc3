"""Vision-language models of other families than LLaVA-Qwen, loaded by transformers and asked with frames as pictures."""
