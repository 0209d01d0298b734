"""`python -m hunique_client` is `hunique-client`."""

from hunique_client.cli import main

if __name__ == "__main__":
    main()
