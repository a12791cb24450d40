"""The agent registry's discovery (`GET /agents?capability=…`) as people would write it otherwise.

Each module is one function as its authors would deploy it: same table, same index, same answer, no error handling
beyond what its library brings. `scripts.bench_cold` zips each one and runs it beside ours.
"""
