"""Metrics that compare predicted texts with the references."""
