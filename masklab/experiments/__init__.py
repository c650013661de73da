"""Experiments that prove the point: tiny models, three seeds, seconds, and an honest verdict."""
