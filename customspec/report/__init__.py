"""All that a person reads.

On the terminal         problems, explanations, exchange, tables, side_by_side, curve, logs, text, quantities
A finished run          finished, view, answers, disagreements, frontier, changes, sides
Its page                page, origins, pictures, trainings, labels, svg, numbers, templates/
For a pull request      markdown
An export               card, serving
"""
