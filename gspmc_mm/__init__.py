"""GSP-MC for mmaction2: generative sign-description prompts for skeleton sign recognition.

Importing the package repairs what the OpenMMLab wheels need on today's PyTorch (`gspmc_mm.compat`) and
registers every component in mmaction's registries; a config only has to say
`custom_imports = dict(imports=['gspmc_mm'])`.
"""

__version__ = "0.1.0"

import sys

try:
    from . import compat

    compat.apply()  # before anything of mmaction's models is imported

    from . import datasets, evaluation, models  # noqa: F401
except ImportError:
    # `python -m gspmc_mm.doctor` has to be able to say what is wrong with the installation.
    if "gspmc_mm.doctor" not in sys.orig_argv:
        raise
