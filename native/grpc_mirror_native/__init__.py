"""Compiled parts of grpc-mirror and its collector. Whoever uses them has the same in Python, and does that where these are not installed.

Nothing here judges: what is not plainly as usual is handed back, and Python decides. `CONTRACT` is raised with every change of what
goes in or out; who finds another one than it knows goes without.
"""

CONTRACT = 4
