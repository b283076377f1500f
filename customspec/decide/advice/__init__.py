"""Advice before anything runs: rules over the data, the model and the machine, each with its source."""
