"""The embedded AWS: moto's server, functions that really run, and a front door for HTTP APIs, in one process."""
