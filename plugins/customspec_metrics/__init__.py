"""Metrics: numbers for answers, most of them beside the references."""
