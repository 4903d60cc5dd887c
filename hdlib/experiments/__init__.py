"""The chapters' experiments: a folder each, with the same files."""
