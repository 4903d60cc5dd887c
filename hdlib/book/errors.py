"""What is raised where the book cannot be built."""


class BookError(Exception):
    """The book cannot be built; the message says which file is at fault and how."""
