"""`python -m customspec`."""

from customspec.cli import main

main()
