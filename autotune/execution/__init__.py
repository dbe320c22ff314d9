"""Trials in this process or in worker processes, under one coordinator that owns the study."""
