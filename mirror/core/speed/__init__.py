"""Latency and size: the candidate against the secondary, the primary beside them. Pure.

`sketch` keeps quantiles, `votes` holds one triple's figures against a grid of ratios, `watch` remembers the secondary's tail of
the minutes before, and `evidence` makes a lower bound of votes. Source: facts on noise, section 7.
"""
