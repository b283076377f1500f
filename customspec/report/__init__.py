"""All that a person reads.

On the terminal         problems, explanations, exchange, tables, side_by_side, curve, logs, text, quantities
A finished run          finished, view, answers, disagreements, frontier, changes, sides
Its page                page, pictures, labels, svg, numbers, templates/; a pull request's comment: markdown
An export               card, serving
"""
