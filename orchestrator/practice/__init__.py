"""The practice model: an OpenRouter-compatible server that needs no key and no network."""
