"""The first request of each system as people would write it otherwise: one module a library, one function a system.

Each is what its authors would deploy: the same tables and indexes, the same records in the answer, no error handling
beyond what its library brings. `scripts.benchmarks.functions` zips each and runs it beside ours.
"""
