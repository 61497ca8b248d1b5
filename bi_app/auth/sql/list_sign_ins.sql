-- Sign-ins, the newest first, for admins.
select sign_in_id, at, email, address, outcome
from app.sign_ins
where at > now() - make_interval(days => :days) and (not :failed or outcome not in ('ok', 'asked'))
order by at desc limit :most
