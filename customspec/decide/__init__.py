"""From measurements to an answer: intervals, and the choice among candidates. Pure functions of plain values."""
