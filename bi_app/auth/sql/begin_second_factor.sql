-- One that waits for its first code stays as it is for a quarter of an hour, so that the picture may
-- be loaded again; not longer, since who saw it then would know the one that is confirmed later.
insert into app.second_factors as f (account_id, secret) values (:account_id, :secret)
on conflict (account_id) do update set
    secret = case when f.made_at < now() - interval '15 minutes'
        then excluded.secret else f.secret end,
    made_at = case when f.made_at < now() - interval '15 minutes'
        then excluded.made_at else f.made_at end
where f.confirmed_at is null
returning secret
