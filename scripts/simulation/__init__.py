"""The functions' own code under a load that nobody has yet: what `make scale` is made of."""

from scripts import paths

paths.functions_can_be_imported()
