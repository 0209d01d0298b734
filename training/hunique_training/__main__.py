"""`python -m hunique_training` is `hunique-train`."""

from hunique_training.cli import main

if __name__ == "__main__":
    main()
