-- One that waits for its first code stays as it is, so that the picture may be loaded again.
insert into app.second_factors as f (account_id, secret) values (:account_id, :secret)
on conflict (account_id) do update set made_at = f.made_at where f.confirmed_at is null
returning secret
