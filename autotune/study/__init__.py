"""The study: what was proposed and what came of it. The only rooms that know optuna."""
