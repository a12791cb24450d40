"""Records between files and tables, both ways: what `make migrate` and `make export` are made of.

The rules of what is stored are the functions' own, so this is the one part of the glue that imports them.
"""

import sys

from scripts import paths

if str(paths.LAMBDA_SOURCE) not in sys.path:
    sys.path.append(str(paths.LAMBDA_SOURCE))
