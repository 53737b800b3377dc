"""From OTLP bytes to stored counts: the listeners, the bounded queue, the one pipeline thread, and forwarding.

Only this room talks to sockets and threads. What it decides with stands in mirror.core, what it keeps in mirror.store.
"""
