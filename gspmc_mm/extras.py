"""What to do where the packages of an extra are missing."""


def how_to_install(extra: str) -> str:
    """The command for an extra, in words; this package is on no index, so that it is installed from its repository."""
    return f"in the folder of this repository: pip install -c constraints.txt -e '.[{extra}]'"
