"""`mirror db`: looking after the store. One module a command; `app` hangs them in."""
