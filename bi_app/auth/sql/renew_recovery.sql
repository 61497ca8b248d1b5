with gone as (delete from app.recovery_codes where account_id = :account_id)
insert into app.recovery_codes (account_id, code_sha256)
select f.account_id, unnest(cast(:codes as bytea[]))
from app.second_factors f where f.account_id = :account_id and f.confirmed_at is not null
