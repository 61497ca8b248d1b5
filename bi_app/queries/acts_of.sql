-- The newest acts of one person, as the audit log tells them.
select at, act, subject, outcome, address
from audit.entries
where lower(who) = lower(%(who)s)
order by entry_id desc
limit 100
