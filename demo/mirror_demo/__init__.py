"""The demo: an online shop in three replicas behind a real Envoy, and a candidate with seeded faults.

`command` runs all of it as `mirror demo`. The replicas and the load are processes of their own, started with the folder of
their generated code (`gen/current` or `gen/newer`) on the PYTHONPATH: two versions of one `.proto` cannot live in one process.
"""
