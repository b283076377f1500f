"""One file per kind of step: a function from the step and its surroundings to values and files."""
