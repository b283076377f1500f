"""From measurements to an answer: intervals, and the choice among candidates. Pure functions of plain values.

Statistics              samples, intervals, pairs, randomization, power, seeds
The answer              decision, claim, best, gauge, costs, wording
Before and after a run  prospect, advice/, curve
"""
