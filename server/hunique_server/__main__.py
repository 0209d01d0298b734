"""`python -m hunique_server` is `hunique-server`."""

from hunique_server.cli import main

if __name__ == "__main__":
    main()
