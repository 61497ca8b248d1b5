-- Records held back by rule, of one dataset.
select * from quality.quarantine_rules(%(dataset)s)
