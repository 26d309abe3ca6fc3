"""Models behind an OpenAI-compatible server: vLLM, SGLang, llama.cpp, Ollama, ``transformers serve``."""
