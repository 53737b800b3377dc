"""Ways out of the process. Both carry the same spans; one thread feeds either."""
