"""HOW: reusable steps, one verb a file."""
