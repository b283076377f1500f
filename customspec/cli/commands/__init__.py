"""One file per command, each with a `command` of its own; a module is imported when its command is called."""
