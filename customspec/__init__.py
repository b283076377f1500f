"""Customization of foundation models as code: one spec, one plan, one answer."""

__version__ = "0.1.0"
