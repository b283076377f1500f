"""Templates that others wrote, compiled and filled in a process of their own, within limits.

Jinja's sandbox keeps a template from reaching out; it does not keep it from running for ever or filling the memory,
which it can do while it is compiled already. The process holds nothing but Jinja, and ends with the one that uses it.
"""
