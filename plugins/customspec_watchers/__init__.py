"""Watchers: a run's course, taken to where people follow such things."""
