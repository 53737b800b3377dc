"""Kafka between entrance and judging, for more than one process: `mirror ingest` writes to a topic, `mirror worker`s read it.

The topic's format is that of the OpenTelemetry Collector's Kafka exporter, so that either can feed the workers.
"""
