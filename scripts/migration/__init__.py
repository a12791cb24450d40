"""Records between files and tables, both ways: what `make migrate` and `make export` are made of.

The rules of what is stored are the functions' own.
"""

from scripts import paths

paths.functions_can_be_imported()
