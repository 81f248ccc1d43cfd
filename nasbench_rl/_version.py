"""The version of the code; the tables carry their own (MANIFEST.json)."""

__version__ = "0.1.0"
