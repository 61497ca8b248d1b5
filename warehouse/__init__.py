"""WHAT is kept: specs, catalogue, migrations, row policies, gold SQL, settings, errors."""
