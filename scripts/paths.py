"""Where things lie in the repository; everything generated lies under `.build/`."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / ".build"
LAMBDA_SOURCE = ROOT / "lambda_src"
FUNCTION_ENTRY = LAMBDA_SOURCE / "function.py"
LAMBDA_BUILD = BUILD / "lambdas"
TERRAFORM_ROOT = ROOT / "terraform"
BOOTSTRAP_ROOT = TERRAFORM_ROOT / "bootstrap"
ENVIRONMENTS = TERRAFORM_ROOT / "environments"
TEMPLATES = ROOT / "scripts" / "templates"


def functions_can_be_imported() -> None:
    """From now on: their rules of what is stored where are theirs alone."""
    if str(LAMBDA_SOURCE) not in sys.path:
        sys.path.append(str(LAMBDA_SOURCE))
