"""Plan -> Results. A runner schedules steps; `execute` does one, in any process that sees the store."""
