-- Of two at the same time, one finds the step used.
update app.second_factors set last_step = :step
where account_id = :account_id and confirmed_at is not null and last_step < :step
returning account_id
