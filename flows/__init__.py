"""WHEN: thin flows; each reads like a sentence."""
