"""Plain HTTP beside the pages: health, downloads, assets, the way home."""
