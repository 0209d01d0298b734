"""The wire of hunique: protocol definitions and their generated stubs."""
