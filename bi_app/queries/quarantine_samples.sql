-- Findings of a rule in a dataset's newest loads; values only where they are nobody's own.
select * from quality.quarantine_samples(%(dataset)s, %(rule)s, 100)
