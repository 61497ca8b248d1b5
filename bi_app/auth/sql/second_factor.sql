select secret from app.second_factors
where account_id = :account_id and (confirmed_at is not null) = :confirmed
