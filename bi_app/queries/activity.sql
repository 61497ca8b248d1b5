-- Entries of the audit log that fit, the newest first.
select entry_id, at, who, role, act, subject, outcome, door, address, details
from audit.entries
where at > now() - make_interval(days => %(days)s)
    and (%(who)s = '' or who = %(who)s)
    and (%(act)s = '' or act = %(act)s)
    and (%(door)s = '' or door = %(door)s)
    and (%(outcome)s = '' or outcome = %(outcome)s)
order by entry_id desc
limit %(most)s
