"""The book as a site: what is behind ``hdlib book``."""

from hdlib.book.errors import BookError
from hdlib.book.execute import execute_chapters
from hdlib.book.site import build, copy_assets, find_root

__all__ = ["BookError", "build", "copy_assets", "execute_chapters", "find_root"]
