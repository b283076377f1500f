"""What the helper processes have in common: they read what strangers wrote, within limits."""

from __future__ import annotations

import resource


def limit(cpu: int, memory: int) -> None:
    """From now on this process may compute for `cpu` seconds in all and hold `memory` bytes: one that takes more ends,
    and says so by its signal."""
    for what, most in ((resource.RLIMIT_CPU, cpu), (resource.RLIMIT_DATA, memory)):
        soft, hard = resource.getrlimit(what)
        known = [bound for bound in (most, soft, hard) if bound != resource.RLIM_INFINITY]
        resource.setrlimit(what, (min(known), hard))
