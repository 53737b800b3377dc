"""The read side: the page, the JSON API and the metrics over a store that others fill.

Reads the store and the configuration, writes nothing. `app.web_app` puts it together; `epochs` assembles what page, API
and command line say of a run, so that they never disagree; `tree`, `align`, `calls` and `sides` are pure.
"""
