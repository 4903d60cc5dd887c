"""Quarto's `pre-render` step, ``python -m hdlib.book``: only copies the assets."""

import sys

from hdlib.book import BookError, copy_assets

try:
    print(f"wrote {copy_assets()}")
except BookError as error:
    sys.exit(f"error: {error}")
