"""The functions' own code under a load that nobody has yet: what `make scale` is made of."""

import sys

from scripts import paths

if str(paths.LAMBDA_SOURCE) not in sys.path:
    sys.path.append(str(paths.LAMBDA_SOURCE))
