"""What `make bench` measures: each module named in `scripts.bench.PARTS` is a part, with one function `measure`."""
