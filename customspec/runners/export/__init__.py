"""A candidate handed over: its files, its prompt, a card, and how to serve it elsewhere."""
