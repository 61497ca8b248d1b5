-- Take an Idempotency-Key, or say what became of the request that took it. Kept for a day.
with old as (
    delete from app.answers where at < now() - interval '1 day'
),
taken as (
    insert into app.answers (account_id, key, request_sha256)
    values (:account_id, :key, :request_sha256)
    on conflict (account_id, key) do nothing
    returning account_id
)
select (select count(*) from taken) = 1 as taken, a.status, a.body,
    a.request_sha256 = :request_sha256 as same
from (select 1) one
left join app.answers a
    on a.account_id = :account_id and a.key = :key and a.at >= now() - interval '1 day'
