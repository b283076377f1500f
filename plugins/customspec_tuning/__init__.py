"""Techniques that train: the model itself, or a small part beside it."""
