"""Values where yes or no is blind: whether their distribution changed between the builds. Pure.

`labels` says what is looked at in one value, `memory` what is remembered of a path, `watch` makes votes of triples, and
`evidence` makes an e-value of votes. Source: facts on noise, section 6.
"""
