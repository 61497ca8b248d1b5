"""The web app: who sees what. Every row it shows comes through `acting_as(viewer)`."""
