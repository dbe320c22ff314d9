"""Search spaces as values: what may vary, read from TOML or written in Python. Nothing here knows optuna."""
