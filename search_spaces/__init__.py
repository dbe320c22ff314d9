"""The built-in search spaces: one TOML file a learner, and ``automl``, which joins them."""
