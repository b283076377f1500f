"""Steering vectors, and a metric that looks at first letters."""
