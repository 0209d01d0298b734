"""`python -m hunique_export` is `hunique-export`."""

from hunique_export.cli import main

if __name__ == "__main__":
    main()
