"""GSP-MC for mmaction2: generative sign-description prompts for skeleton sign recognition."""

__version__ = "0.1.0"
